"""The picture of the README: the live page of a real line at work on the demo's photos."""

import io
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from PIL import Image, ImageOps
from playwright.sync_api import Browser, FilePayload, expect

from producer_tools.local.consumer_process import ConsumerProcess
from producer_tools.local.demo.photos import demo_photos
from producer_tools.local.gateway_process import GatewayProcess
from producer_tools.local.stack import LocalStack
from tests.page.browser import DESKTOP, tab
from tests.support.line_names import maskline

_ROUNDS = 12
_SHOWN = 12


def take(browser: Browser, path: Path) -> None:
    """Run a line, submit photos to it by one page, and take the picture of another."""
    with LocalStack() as stack, ExitStack() as started:
        environment = stack.environment()
        made = maskline("topics", "create", environment=environment)
        if made.returncode != 0:
            raise RuntimeError(made.stderr)
        started.enter_context(ConsumerProcess(environment))
        gateway = started.enter_context(GatewayProcess(environment))
        _photograph(browser, gateway.url, path)


def _photograph(browser: Browser, url: str, path: Path) -> None:
    with tab(browser, DESKTOP) as submitting, tab(browser, DESKTOP) as shown:
        submitting.page.goto(url)
        shown.page.goto(url)
        expect(submitting.page.locator("#live")).to_have_text("live")
        submitting.page.locator("#files").set_input_files(_photos())
        expect(shown.page.locator("#results img[src]")).to_have_count(_SHOWN, timeout=120_000)
        expect(shown.page.locator("#failures > li")).to_have_count(1)
        shown.page.screenshot(path=path, type="jpeg", quality=85)


def _photos() -> Sequence[FilePayload]:
    """Return the demo's photos several times, some mirrored, and a file that is no photo."""
    photos = [
        FilePayload(name=name, mimeType="image/jpeg", buffer=content)
        for _ in range(_ROUNDS)
        for name, content in _variants()
    ]
    photos.insert(3, FilePayload(name="notes.jpg", mimeType="image/jpeg", buffer=b"no photo"))
    return photos


def _variants() -> list[tuple[str, bytes]]:
    variants = []
    for file in demo_photos():
        photo = Image.open(file).convert("RGB")
        for suffix, variant in (("", photo), ("-mirrored", ImageOps.mirror(photo))):
            jpeg = io.BytesIO()
            variant.save(jpeg, format="JPEG", quality=92)
            variants.append((f"{file.stem}{suffix}.jpg", jpeg.getvalue()))
    return variants
