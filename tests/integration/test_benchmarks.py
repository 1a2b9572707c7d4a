"""The benchmarks, in little: they run, and what a busy machine lets one judge holds."""

import os

import pytest

from consumer.settings import Settings
from producer_tools.local.stack import LocalStack
from tests.benchmarks import memory, settling, speed, view
from tests.benchmarks.photos import photos

pytestmark = pytest.mark.integration


def test_settling_in_runs_is_faster_than_one_message_at_a_time(stack: LocalStack) -> None:
    """More than twice as fast; the benchmark asks for four times, on a machine of its own."""
    ratios = settling.measure(stack, rounds=1, jobs=1000)
    assert ratios[64] > 2


def test_all_four_ways_get_through_the_photos(
    stack: LocalStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And ours has settled each job exactly once, in order: the benchmark itself checks that."""
    for name, value in stack.environment().items():
        monkeypatch.setenv(name, value)
    figures = speed.measure(stack, Settings(), photos(None, 8), rounds=1)
    assert [len(found.rates) for found in figures.values()] == [1, 1, 1, 1]


@pytest.mark.skipif(os.name != "posix", reason="resident memory as POSIX counts it")
def test_memory_stays_where_it_is(stack: LocalStack) -> None:
    """After 100 jobs it has seen most sizes."""
    growth = memory.measure(stack, jobs=200, settled_in=100, largest=4.0)
    assert growth < 0.2


def test_the_view_folds_and_answers(stack: LocalStack) -> None:
    """Nothing is missing, its memory is bounded, and an answer costs little of a processor.

    How fast it is by the clock, a busy machine can't judge.
    """
    figures = view.measure(stack, jobs=6000, live_seconds=2)
    assert figures.per_second > 200
    assert figures.grown_mib < 100
    assert figures.job.processor_ms < view.AIM_JOB_MS
    assert figures.page.processor_ms < view.AIM_PAGE_MS
