"""Debian's Chromium, driven by Playwright, and what a test wants to know of a page."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

_PATIENCE_MS = 30_000
"""The longest wait, for a machine that is busy."""
DESKTOP, PHONE, SMALL_PHONE = (1440, 900), (390, 844), (360, 740)

# Where there is no sandbox, as in a container without user namespaces, Chromium needs none: it
# opens pages of this machine alone.
_ARGUMENTS = ("--no-sandbox", "--enable-precise-memory-info", "--js-flags=--expose-gc")


def chromium() -> str:
    """Return the path of Chromium. Without it, skip the tests, or fail in CI."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None and os.environ.get("CI"):
        pytest.fail("There is no chromium, and the page's tests need it: apt install chromium")
    if found is None:
        pytest.skip("The live page is not tested: there is no chromium (apt install chromium)")
    return found


@contextmanager
def launched() -> Iterator[Browser]:
    """Run Chromium. While it runs, no event loop can be run in this thread."""
    path = chromium()
    expect.set_options(timeout=_PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(_ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Tab:
    """A page in a context of its own, and what it complained of."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    """Errors of scripts, and warnings and errors of the console."""

    def allow(self, *parts: str) -> None:
        """Forget complaints with one of these texts: they were ordered."""
        self.complaints = [
            each for each in self.complaints if not any(part in each for part in parts)
        ]

    def is_too_wide(self) -> bool:
        """Whether one must scroll sideways."""
        return bool(self.page.evaluate("document.documentElement.scrollWidth > innerWidth"))


@contextmanager
def tab(
    browser: Browser, size: tuple[int, int] = DESKTOP, *, dark: bool = False, touch: bool = False
) -> Iterator[Tab]:
    """Open a tab."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if dark else "light",
        has_touch=touch,
        is_mobile=touch,
        reduced_motion="reduce",
        timezone_id="Europe/Berlin",
        locale="en-GB",
    )
    context.set_default_timeout(_PATIENCE_MS)
    opened = Tab(context.new_page())
    opened.page.on("console", lambda message: _note(opened.complaints, message))
    opened.page.on("pageerror", lambda error: opened.complaints.append(str(error)))
    try:
        yield opened
    finally:
        context.close()


def _note(complaints: list[str], message: ConsoleMessage) -> None:
    if message.type in ("error", "warning"):
        complaints.append(f"{message.text} ({message.location.get('url', '')})")


def metrics(page: Page) -> dict[str, float]:
    """Return Chromium's own figures of a page, after a garbage collection."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    session.send("Performance.enable")
    found: Sequence[dict[str, object]] = session.send("Performance.getMetrics")["metrics"]
    session.detach()
    return {str(each["name"]): float(str(each["value"])) for each in found}
