"""Each line of docs/threats.md names a test that is there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/threats.md").read_text()
NAMED = re.compile(r"`(test_\w+\.py)::(test_\w+)`")


def test_each_threat_names_a_test_that_is_there() -> None:
    lines = [line for line in PAGE.splitlines() if line.startswith("|")]
    rows = [line for line in lines if not line.startswith(("|---", "| who writes", "| who conn"))]
    assert len(rows) > 30
    assert [] == [row for row in rows if not NAMED.search(row)]
    files = {file.name: file for file in (ROOT / "tests").rglob("test_*.py")}
    missing = [
        f"{file}::{test}"
        for file, test in NAMED.findall(PAGE)
        if file not in files or f"def {test}(" not in files[file].read_text()
    ]
    assert [] == missing
