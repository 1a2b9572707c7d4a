"""The dashboard asks for metrics that there are, in queries that Prometheus reads."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.dashboard import panels, queries
from tests.support.metric_names import sample_names


def test_the_rows_ask_an_operators_questions_in_order() -> None:
    """From top to bottom."""
    rows = [panel["title"] for panel in panels() if panel["type"] == "row"]
    assert rows == [
        "Does it run?",
        "Is it late?",
        "What fails?",
        "Where does time go?",
        "What does it cost?",
    ]


def test_no_panel_covers_another() -> None:
    """Each has an id and a place of its own."""
    places: set[tuple[int, int]] = set()
    for panel in panels():
        at = panel["gridPos"]
        own = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not own & places, panel["title"]
        assert at["x"] + at["w"] <= 24
        places |= own
    assert len({panel["id"] for panel in panels()}) == len(panels())


def test_queries_ask_for_metrics_that_there_are() -> None:
    """Each for those of this line alone."""
    for query in queries(rate="5m"):
        asked = set(re.findall(r"\b(mask_\w+)", query.expression))
        assert asked <= sample_names(), query.expression
        selectors = re.findall(r"\b(?:mask_\w+|ALERTS)(\{job=\"maskline\")?", query.expression)
        assert all(selectors), query.expression


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool (Debian: prometheus)")
def test_prometheus_reads_each_query(tmp_path: Path) -> None:
    """As the expression of a rule."""
    rules = [
        {"record": f"query:{number}", "expr": query.expression}
        for number, query in enumerate(queries(rate="5m"))
    ]
    file = tmp_path / "rules.yaml"  # JSON is YAML, too
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = subprocess.run(["promtool", "check", "rules", file], capture_output=True, text=True)  # noqa: S607
    assert done.returncode == 0, done.stdout + done.stderr
