"""The doctor: looks at everything that a line needs, all at once and within bounds."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import TypeVar

from consumer.errors import StartError
from consumer.settings import (
    CallbackSettings,
    ImageSettings,
    KafkaSettings,
    LineSettings,
    ModelSettings,
    S3Settings,
    ServingSettings,
    load,
)
from consumer.settings.group import SettingsGroup
from consumer.telemetry.certificates import expiries
from consumer.telemetry.secrets import Secrets
from producer_tools.doctor.certificates import certificate
from producer_tools.doctor.finding import Exit, Finding, good, warn, wrong
from producer_tools.doctor.kafka import look_at_kafka
from producer_tools.doctor.services import look_at_callback, look_at_s3
from segmentation.catalog.catalog import Catalog
from segmentation.errors import ModelError
from segmentation.model.onnx_model import check_providers

LOOK_SECONDS = 90.0
"""For everything together; models take the longest."""

Group = TypeVar("Group", bound=SettingsGroup)


class _Given:
    """The groups of settings that can be read, and what is wrong with the others."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.secrets: list[str] = []

    def load(self, group: type[Group]) -> Group | None:
        """Read a group; None where it is wrong."""
        try:
            settings = load(group)
        except StartError as error:
            self.findings.append(
                wrong("settings", str(error), "set it right", exit_code=Exit.SETTINGS)
            )
            return None
        self.secrets += settings.secrets()
        return settings


async def examine() -> list[Finding]:
    """Look at everything; give what was found, settings first. No secret is in it."""
    given = _Given()
    kafka, s3, images = given.load(KafkaSettings), given.load(S3Settings), given.load(ImageSettings)
    callback, models = given.load(CallbackSettings), given.load(ModelSettings)
    for group in (LineSettings, ServingSettings):
        given.load(group)
    if not given.findings:
        given.findings.append(good("settings", "all can be read"))
    looks: list[AsyncIterator[Finding]] = []
    if kafka:
        looks.append(look_at_kafka(kafka))
    if s3 and images:
        looks.append(look_at_s3(s3, images))
    if callback:
        looks.append(look_at_callback(callback))
    if models:
        looks.append(_look_at_models(models))
    found = await asyncio.gather(*(_all(look) for look in looks))
    files = (certificate(name, read()) for name, read in expiries(kafka, s3, callback).items())
    named = [finding for finding in files if finding is not None]
    secrets = Secrets(given.secrets)
    findings = chain(given.findings, named, *found)
    return [replace(one, says=secrets.hide(one.says)) for one in findings]


def exit_code(findings: Sequence[Finding]) -> Exit:
    """Give what the command exits with."""
    return min((one.exit for one in findings if one.state == "wrong"), default=Exit.GOOD)


async def _all(look: AsyncIterator[Finding]) -> list[Finding]:
    """Gather what one look finds, also where it breaks off: a doctor must not fall ill itself."""
    found: list[Finding] = []
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            async for finding in look:
                found.append(finding)  # noqa: PERF401 - what was found before a fault counts
    except TimeoutError:
        found.append(wrong("doctor", f"a look took more than {LOOK_SECONDS:g} s", "run it again"))
    except Exception as error:
        found.append(wrong("doctor", f"a look broke off: {error!r}", "report this, please"))
    return found


async def _look_at_models(settings: ModelSettings) -> AsyncIterator[Finding]:
    def load_all() -> tuple[Catalog, list[str]]:
        check_providers(settings.onnx_providers)
        catalog = Catalog.load(
            folder=settings.model_folder,
            body_model=settings.qwen_model_path,
            providers=settings.onnx_providers,
            threads=1,
        )
        return catalog, catalog.warm()

    try:
        catalog, away = await asyncio.to_thread(load_all)
    except (ModelError, OSError) as error:
        yield wrong("models", str(error), "see `maskline models check`", exit_code=Exit.MODEL)
        return
    for reason in away:
        yield warn("models", reason, "its jobs wait until its server answers")
    yield good("models", f"{', '.join(catalog.names)}; {catalog.default} is the default")
    catalog.close()
