"""A warm standby: how soon it goes on, and what is done twice."""

from pathlib import Path

import pytest

from producer_tools.local.stack import LocalStack
from tests.laboratory.hand_overs import (
    DEATH_SECONDS,
    LEAVE_SECONDS,
    die,
    handed_over,
    repeated,
    restart_in_turn,
    start_warm,
    under_load,
)
from tests.laboratory.laboratory import Laboratory
from tests.laboratory.oracle import judge

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


async def test_a_warm_standby_goes_on_in_time_and_repeats_only_what_was_in_flight(
    stack: LocalStack, tmp_path: Path
) -> None:
    """Three consumers are restarted in turn under load; then the owner is killed."""
    async with Laboratory(stack, folder=tmp_path, seed=5) as laboratory:
        async with under_load(laboratory):
            await start_warm(laboratory, 3)
            restart = await restart_in_turn(laboratory)
            died = await die(laboratory)
        await laboratory.reaches(laboratory.records)
        await laboratory.end_all()
        evidence = await laboratory.evidence()

    print(restart, died, sep="\n")
    # The quicker of the two: other tests take the processors meanwhile. `make bench` has them all.
    assert min(left.to_start for left in restart.hand_overs) < LEAVE_SECONDS
    assert restart.longest_gap < DEATH_SECONDS
    assert died.to_start < DEATH_SECONDS
    assert set(repeated(evidence)) <= handed_over(evidence) | died.in_flight
    assert [str(verdict) for verdict in judge(evidence) if not verdict.holds] == []
