"""A schedule is the same for the same seed, and every fault that it names can be struck."""

import pytest

from tests.laboratory.faults import KINDS
from tests.laboratory.schedule import SCHEDULES, draw


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_seed_gives_the_same_faults_again(name: str) -> None:
    """A run can be done over."""
    assert draw(3, schedule=name, records=500, faults=9) == draw(
        3, schedule=name, records=500, faults=9
    )


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_fault_of_a_schedule_can_be_struck(name: str) -> None:
    """No name is without its deed."""
    assert set(SCHEDULES[name]) <= set(KINDS)


def test_faults_come_in_the_order_of_their_moments_within_the_run() -> None:
    """None before the first record, none after the last."""
    moments = [fault.at for fault in draw(3, schedule="mixed", records=500, faults=20)]

    assert moments == sorted(moments)
    assert 0 < moments[0] <= moments[-1] < 500


def test_each_kind_comes_once_before_any_comes_again() -> None:
    """A run with as many faults as kinds has them all."""
    known = SCHEDULES["holds"]

    kinds = [fault.kind for fault in draw(3, schedule="holds", records=500, faults=len(known))]

    assert set(kinds) == set(known)
