"""The line joins anew after whatever ends its membership."""

import asyncio
from typing import Self

import pytest

from consumer.errors import LaneLost, StartError
from consumer.job.services import Services
from consumer.kafka.rights_watch import RightsWatch
from consumer.line import line as line_module
from consumer.line.line import Line
from consumer.line.run import Run
from consumer.line.throughput import Throughput
from consumer.settings import KafkaSettings, LineSettings
from consumer.telemetry.metrics import Metrics


class Broken:
    """A membership that ends as soon as it begins."""

    reasons: list[Exception]
    stop: asyncio.Event
    groups: list[str]

    def __init__(self, kafka: KafkaSettings) -> None:
        self.groups.append(kafka.consumer_group)

    async def __aenter__(self) -> Self:
        """Fail, for the last time with the end of the process."""
        reason = self.reasons.pop(0)
        if not self.reasons:
            self.stop.set()
        raise reason

    async def __aexit__(self, *_: object) -> None:
        """Never be reached."""


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> type[Broken]:
    """Stands in for the membership; joining again takes no time."""
    Broken.stop, Broken.groups = asyncio.Event(), []
    monkeypatch.setattr(line_module, "Membership", Broken)
    monkeypatch.setattr(Line, "_pause", no_pause)
    return Broken


@pytest.mark.parametrize(
    "unforeseen", [KeyError("mask.jobs"), AssertionError(), AttributeError("error_code")]
)
async def test_what_a_client_did_not_foresee_loses_the_lane_and_not_the_process(
    broken: type[Broken], unforeseen: Exception
) -> None:
    """As a group's coordinator that moves while its offsets are asked for."""
    broken.reasons = [unforeseen, LaneLost("fenced")]
    line, metrics = make_line()
    await line.run(broken.stop)
    assert metrics.registry.get_sample_value("mask_lanes_lost_total") == 2
    assert line.state().lost == "fenced"


async def test_what_only_a_person_can_mend_ends_the_process(broken: type[Broken]) -> None:
    """A wrong `--from-offset` is wrong each time."""
    broken.reasons = [StartError("--from-offset 3 is settled", exit_code=2)]
    line, _ = make_line()
    with pytest.raises(StartError, match="is settled"):
        await line.run(broken.stop)


async def test_a_replay_run_whose_secrets_change_stays_in_its_group(broken: type[Broken]) -> None:
    """The settings that it is given have that group already."""
    broken.reasons = [LaneLost("fenced")]
    run = Run("r1", range(1))
    settings = run.settings(KafkaSettings())
    line, _ = make_line(run)
    line.renew(settings)
    await line.run(broken.stop)
    assert broken.groups == [settings.consumer_group]


def make_line(run: Run | None = None) -> tuple[Line, Metrics]:
    """Make a line that has no job to do, and what counts its lanes."""
    metrics = Metrics()
    services = Services.__new__(Services)
    kafka = KafkaSettings()
    line = Line(
        kafka,
        LineSettings(),
        services=services,
        throughput=Throughput(metrics),
        rights=RightsWatch(kafka, lambda _: ()),
        run=run,
    )
    return line, metrics


async def no_pause(_line: Line, _losses: int, _stop: asyncio.Event) -> None:
    """Go on."""
