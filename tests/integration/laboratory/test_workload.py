"""The workload is the same for the same seed, holds every kind, and reaches the topic's limit."""

import random
from collections import Counter
from pathlib import Path

import pytest

from producer_tools.local.stack import LocalStack
from tests.laboratory.laboratory import Laboratory
from tests.laboratory.workload import POISONS, aborted, largest, plan, submit, topic_takes
from tests.support.topics import read_topic

KINDS = {
    "bad-json",
    "wrong-schema",
    "tombstone",
    "nothing",
    "page",
    "cut",
    "no-object",
    "no-bucket",
    "rejected",
    "output",
    "model",
    "forbidden",
    "largest",
    "odd-header",
    "bomb",
    "bomb-between",
    "packed",
    "long-key",
    "long-key-of-nothing",
}


def test_a_seed_gives_the_same_records_again() -> None:
    """A run can be done over."""
    assert plan(5, records=80, poisoned=20) == plan(5, records=80, poisoned=20)


def test_another_seed_gives_others() -> None:
    """The seed decides."""
    assert plan(5, records=80, poisoned=20) != plan(6, records=80, poisoned=20)


def test_every_way_of_being_bad_comes_in_turn() -> None:
    """A share of as many as there are ways has each of them once."""
    planned = plan(5, records=100, poisoned=len(POISONS))

    found = Counter(one.kind for one in planned if one.kind in KINDS)

    assert found == dict.fromkeys(KINDS, 1)


def test_aborted_records_come_between_the_records() -> None:
    """Each bears what the record before it does, and is aborted."""
    mixed = aborted(plan(5, records=6, poisoned=0), 3)

    assert [one.aborted for one in mixed] == [False] * 3 + [True] + [False] * 3 + [True]


@pytest.mark.integration
@pytest.mark.parametrize("seed", [0, 1])  # without headers, and with long ones
async def test_the_largest_record_is_the_largest_that_the_topic_takes(
    stack: LocalStack, tmp_path: Path, seed: int
) -> None:
    """One byte more is refused."""
    async with Laboratory(stack, folder=tmp_path, seed=seed) as laboratory:
        where = (laboratory.bootstrap, laboratory.line.jobs)

        one_more = await topic_takes(*where, largest(0, random.Random(seed), over=1))
        just_so = await topic_takes(*where, largest(0, random.Random(seed)))

    assert (one_more, just_so) == (False, True)


@pytest.mark.integration
async def test_records_arrive_as_planned_and_aborted_ones_never_do(
    stack: LocalStack, tmp_path: Path
) -> None:
    """Key, value and headers, byte for byte; also where there is neither key nor value."""
    planned = plan(7, records=40, poisoned=13)
    async with Laboratory(stack, folder=tmp_path, seed=7) as laboratory:
        where = (laboratory.bootstrap, laboratory.line.jobs)

        foreseen, offsets = await submit(*where, aborted(planned, 10))
        records = await read_topic(*where, isolation="read_committed")

    assert [(one.key, one.value, one.headers) for one in records] == [
        (one.key, one.value, one.headers) for one in planned
    ]
    assert [foreseen[one.offset] for one in records] == [one.foreseen for one in planned]
    assert len(offsets) == 4
