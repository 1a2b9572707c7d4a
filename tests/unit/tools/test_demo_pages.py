"""The demo's contact sheet has as many pages as its photos need."""

from pathlib import Path

import pytest
from PIL import Image

from producer_tools.local.demo import demo as module
from producer_tools.local.demo.demo import DemoResult, draw_pages, page_name


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two photos on a page, three pages."""
    monkeypatch.setattr(module, "ON_A_PAGE", 2)
    monkeypatch.setattr(module, "MAX_PAGES", 3)


def results(folder: Path, count: int) -> list[DemoResult]:
    """So many photos of jobs without an event, each of another height."""
    files = [folder / f"{number}.png" for number in range(count)]
    for number, file in enumerate(files):
        Image.new("RGB", (20, 10 + number)).save(file)
    return [DemoResult(file.stem, file, None, {}) for file in files]


@pytest.mark.parametrize(("photos", "pages"), [(0, 1), (1, 1), (2, 1), (3, 2), (6, 3), (9, 3)])
def test_every_photo_is_on_a_page(tmp_path: Path, photos: int, pages: int) -> None:
    """Up to the most pages; without photos there is one page all the same."""
    out = tmp_path / "out"
    out.mkdir()
    draw_pages(results(tmp_path, photos), out)
    names = sorted(file.name for file in out.iterdir())
    assert names == sorted(page_name(number + 1) for number in range(pages))


def test_pages_of_an_earlier_demo_go(tmp_path: Path) -> None:
    """Else they would show photos that weren't given."""
    draw_pages(results(tmp_path, 6), tmp_path)
    draw_pages(results(tmp_path, 2), tmp_path)
    assert [file.name for file in tmp_path.glob("contact-sheet*")] == ["contact-sheet.png"]


def test_the_message_names_the_last_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And how many photos are shown, where some are left out."""
    module._print_results(results(tmp_path, 9), tmp_path)
    said = capsys.readouterr().err
    assert "goes on to contact-sheet-3.png, with 6 photos in all" in said
