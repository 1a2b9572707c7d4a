"""Cuts of the laboratory's runs that are short enough for every day; the long ones are commands."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from producer_tools.local.stack import LocalStack
from tests.laboratory.run import Report, run
from tests.laboratory.schedule import Fault, draw

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


async def strike(
    stack: LocalStack, folder: Path, faults: Sequence[Fault], *, seed: int, records: int = 240
) -> Report:
    """Run the line through the faults; print what came of it, for whom it concerns."""
    report = await run(
        stack, folder=folder, seed=seed, records=records, poisoned=records // 25, faults=faults
    )
    print(report)
    return report


def against(report: Report) -> list[str]:
    """What contradicts the promise."""
    return [str(verdict) for verdict in report.verdicts if not verdict.holds]


async def test_killed_three_times_it_settles_each_record_once_and_in_order(
    stack: LocalStack, tmp_path: Path
) -> None:
    """SIGKILL at seeded moments among good and poisoned records."""
    faults = draw(2026, schedule="order", records=600, faults=3)

    report = await strike(stack, tmp_path, faults, seed=2026, records=600)

    assert against(report) == []
    assert report.figures["terminal"] == report.figures["records"] >= 600
    assert report.figures["dead_letters"] >= 24
    assert report.figures["reigns"] == 4


async def test_a_zombie_settles_nothing_joins_anew_and_stands_by(
    stack: LocalStack, tmp_path: Path
) -> None:
    """Two own the partition for a while: the younger goes on, the older serves as its standby."""
    fault = Fault(at=60, kind="takeover", lines=20, seconds=0)

    report = await strike(stack, tmp_path, [fault], seed=2027)

    assert against(report) == []


async def test_a_sole_owner_goes_on_by_itself_whatever_befalls_the_broker(
    stack: LocalStack, tmp_path: Path
) -> None:
    """Paused for longer than a transaction may last, killed, and restarted on the same data."""
    faults = [
        Fault(40, "broker_pause", 20, 0),
        Fault(100, "broker_kill", 20, 0),
        Fault(160, "broker_restart", 20, 0),
    ]

    report = await strike(stack, tmp_path, faults, seed=2028)

    assert against(report) == []
    assert {reign.owner for reign in report.evidence.reigns} == {"consumer-000"}


async def test_a_dead_s3_and_a_wrong_secret_or_key_hold_the_line(
    stack: LocalStack, tmp_path: Path
) -> None:
    """Not ready, for that reason; nothing is lost or dead-lettered, and it goes on by itself."""
    faults = [
        Fault(30, "s3_down", 20, 4),
        Fault(90, "wrong_secret", 20, 0),
        Fault(150, "wrong_s3_key", 20, 0),
    ]

    report = await strike(stack, tmp_path, faults, seed=2030)

    assert against(report) == []


async def test_a_callback_that_is_down_for_longer_than_its_retries_holds_the_line(
    stack: LocalStack, tmp_path: Path
) -> None:
    """503 for longer than five retries; then answers that are cut, and answers that come late."""
    faults = [
        Fault(30, "callback_503", 20, 34),
        Fault(90, "callback_cuts", 20, 0),
        Fault(150, "callback_late", 20, 0),
    ]

    report = await strike(stack, tmp_path, faults, seed=2031)

    assert against(report) == []
