"""Alerts fire when they must and not otherwise, and each leads to its section of the runbook."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.metric_names import sample_names

ROOT = Path(__file__).parents[3]
ALERTS = (ROOT / "helm/maskline/files/alerts.yaml").read_text()
NAMES = re.findall(r"- alert: (\w+)", ALERTS)
TESTS = Path(__file__).with_name("alerts_test.yaml")


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool (Debian: prometheus)")
def test_alerts_fire_when_they_must_and_not_otherwise() -> None:
    """By Prometheus's own tool, on series that a test gives it."""
    done = subprocess.run(["promtool", "test", "rules", TESTS], capture_output=True, text=True)  # noqa: S607
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_is_tested() -> None:
    """Its firing, and a moment at which it must not fire."""
    tests = TESTS.read_text()
    fired = set(re.findall(r"- alertname: (\w+)", tests))
    quiet = set(re.findall(r"alertname: (\w+), eval_time: \w+, exp_alerts: \[\]", tests))
    assert fired == quiet == set(NAMES)


def test_each_alert_has_a_section_of_the_runbook_behind_its_link() -> None:
    """And no section is of an alert that there is no more."""
    sections = re.findall(r"^## (\w+)$", (ROOT / "docs/runbook.md").read_text(), re.MULTILINE)
    assert sections == NAMES
    links = re.findall(r"runbook_url: (\S+)", ALERTS)
    assert links == [f"docs/runbook.md#{section.lower()}" for section in sections]


def test_alerts_ask_for_metrics_that_there_are() -> None:
    """Each for those of this line alone."""
    asked = re.findall(r"\b(mask_\w+)(.{0,16})", ALERTS)
    assert {name for name, _ in asked} <= sample_names()
    assert {selector for _, selector in asked} == {'{job="maskline"}', '{job="maskline",'}
