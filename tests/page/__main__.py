"""Pictures of the live page in every state, for people to look at: `make page`."""

import argparse
import os
import time
from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.page import on_a_line
from tests.page.browser import DESKTOP, PHONE, Tab, launched, tab
from tests.page.pictures import demo_pictures
from tests.page.scenes import SCENES, JsonObject
from tests.page.stand_in import StandIn

_JOBS = {"done": ("busy", "completed"), "bad": ("failed", "failed"), "waiting": ("held", "begun")}
_SIZES = {"desktop": DESKTOP, "phone": PHONE}
_PATIENCE_SECONDS = 2.5
"""After so long the page says that the connection is lost."""


def main() -> None:
    """Write the pictures to a folder, and say which."""
    parser = argparse.ArgumentParser(prog="python -m tests.page", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("build/page"))
    parser.add_argument("--line", type=Path, help="write only the README's, of a real line")
    given = parser.parse_args()
    folder: Path = given.folder
    if given.line is not None:
        with launched() as browser:
            on_a_line.take(browser, given.line)
        return
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["CI"] = "yes"  # without a browser this fails, and skips nothing
    pictures = demo_pictures()
    names = [each.name for each in pictures]
    with launched() as browser, StandIn(SCENES["empty"](names), pictures) as gateway:
        for path in [
            picture
            for size in _SIZES
            for dark in (False, True)
            for picture in _pictures(browser, gateway, names, folder, size=size, dark=dark)
        ]:
            print(path)


def _pictures(
    browser: Browser,
    gateway: StandIn,
    names: Sequence[str],
    folder: Path,
    *,
    size: str,
    dark: bool,
) -> list[Path]:
    suffix = f"{size}-{'dark' if dark else 'light'}.png"
    taken = []
    for name, scene in SCENES.items():
        gateway.scene = scene(names)
        taken.append(_line(browser, gateway, folder / f"{name}-{suffix}", size=size, dark=dark))
    for name, (scene_name, state) in _JOBS.items():
        gateway.scene = SCENES[scene_name](names)
        path = folder / f"job-{name}-{suffix}"
        taken.append(_job(browser, gateway, gateway.scene[state][0], path, size=size, dark=dark))
    gateway.scene = SCENES["busy"](names)
    taken.append(_lost(browser, gateway, folder / f"lost-{suffix}", size=size, dark=dark))
    return taken


def _line(browser: Browser, gateway: StandIn, path: Path, *, size: str, dark: bool) -> Path:
    with tab(browser, _SIZES[size], dark=dark, touch=size == "phone") as it:
        _open(it, gateway)
        it.page.screenshot(path=path, full_page=True)
    return path


def _job(
    browser: Browser, gateway: StandIn, job: JsonObject, path: Path, *, size: str, dark: bool
) -> Path:
    with tab(browser, _SIZES[size], dark=dark, touch=size == "phone") as it:
        it.page.goto(f"{gateway.url}#/job/{job['job_id']}")
        expect(it.page.get_by_text("The same from a terminal")).to_be_visible()
        if job["state"] == "completed":
            expect(it.page.locator(".both img").last).to_be_visible()
        it.page.screenshot(path=path, full_page=True)
    return path


def _lost(browser: Browser, gateway: StandIn, path: Path, *, size: str, dark: bool) -> Path:
    with tab(browser, _SIZES[size], dark=dark, touch=size == "phone") as it:
        _open(it, gateway)
        gateway.stop()
        time.sleep(_PATIENCE_SECONDS)
        expect(it.page.locator("#banner")).to_be_visible()
        it.page.screenshot(path=path, full_page=True)
        gateway.start()
    return path


def _open(it: Tab, gateway: StandIn) -> None:
    """Open the page, and wait until all its pictures are there."""
    it.page.goto(gateway.url)
    expect(it.page.locator("#live")).to_have_text("live")
    shown = it.page.locator("#results > li img[src]")
    expect(shown).to_have_count(len(gateway.scene["completed"]))


if __name__ == "__main__":
    main()
