"""The page on reliability is made of the recorded runs."""

from pathlib import Path

from tests.laboratory.reliability import page
from tests.laboratory.results import read

DOCS = Path(__file__).parents[3] / "docs"


def test_the_page_is_made_of_the_results_beside_it() -> None:
    """No figure is written by hand."""
    results = read([DOCS / "reliability.jsonl"])

    assert (DOCS / "reliability.md").read_text(encoding="utf-8") == page(results)
