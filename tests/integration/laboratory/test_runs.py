"""Cuts of the laboratory's runs that are short enough for every day; the long ones are commands."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from producer_tools.local.stack import LocalStack
from tests.laboratory.run import RunReport, run
from tests.laboratory.schedule import Fault, draw

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


@dataclass(frozen=True, slots=True)
class Cut:
    """A short run, and what its figures must be besides."""

    name: str
    seed: int
    faults: list[Fault]
    records: int = 240
    holds: Callable[[RunReport], bool] = lambda _: True


CUTS = [
    Cut(
        "killed three times, it settles each record once and in order",
        2026,
        draw(2026, schedule="order", records=600, faults=3),
        records=600,
        holds=lambda report: (
            report.figures["terminal"] == report.figures["records"] >= 600
            and report.figures["dead_letters"] >= 24
            and report.figures["ownerships"] == 4
        ),
    ),
    Cut(
        "a zombie settles nothing, joins anew and stands by",
        2027,
        [Fault(at=60, kind="takeover", lines=20, seconds=0)],
    ),
    Cut(
        "a sole owner goes on by itself after a pause, a death and a restart of the broker",
        2028,
        [
            Fault(40, "broker_pause", 20, 0),
            Fault(100, "broker_kill", 20, 0),
            Fault(160, "broker_restart", 20, 0),
        ],
        holds=lambda report: (
            {one.owner for one in report.evidence[0].ownerships} == {"consumer-000"}
        ),
    ),
    Cut(
        "a dead S3, a wrong secret and a wrong key hold the line, which goes on by itself",
        2030,
        [
            Fault(30, "s3_down", 20, 4),
            Fault(90, "wrong_secret", 20, 0),
            Fault(150, "wrong_s3_key", 20, 0),
        ],
    ),
    Cut(
        "a callback that is down for longer than five retries holds the line",
        2031,
        [
            Fault(30, "callback_503", 20, 34),
            Fault(90, "callback_cuts", 20, 0),
            Fault(150, "callback_late", 20, 0),
        ],
    ),
    Cut(
        "three cancels at once end a job once, and a topic made anew begins where its halt says",
        2032,
        [Fault(20, "cancels", 20, 0), Fault(60, "topic_anew", 20, 0)],
        records=120,
        holds=lambda report: len(report.evidence) == 2,
    ),
]


@pytest.mark.parametrize("cut", CUTS, ids=[cut.name.replace(" ", "_") for cut in CUTS])
async def test_the_promise_is_kept(stack: LocalStack, tmp_path: Path, cut: Cut) -> None:
    """No check of the oracle fails; what came of the run is printed."""
    report = await run(
        stack,
        folder=tmp_path,
        seed=cut.seed,
        records=cut.records,
        poisoned=cut.records // 25,
        faults=cut.faults,
    )
    print(report)

    assert report.against == {}
    assert cut.holds(report), report.figures
