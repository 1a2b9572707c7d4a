"""The lane starts in offset order, settles in offset order, and loses nothing."""

import asyncio
import random
from collections.abc import Sequence
from typing import Self

import pytest

from consumer.errors import LaneHalted, LaneLost
from consumer.job.executor import JobExecutor
from consumer.job.outcome import Failure, Outcome
from consumer.job.record import Record
from consumer.job.turns import Turn
from consumer.line.lane import MOST_BYTES, Lane
from consumer.line.settler import Settler
from schemas.status import ErrorInfo

FAILURE = Failure(
    ErrorInfo(code="invalid_image", message="broken", stage="segment", retryable=False), "x.Broken"
)


def record(offset: int) -> Record:
    return Record("mask.jobs", 0, offset, 0, b"k", b"v", ())


class LaneBench(JobExecutor):
    """A lane whose jobs finish when the test lets them: it does the work itself."""

    def __init__(
        self,
        *,
        capacity: int = 8,
        isolate_through: int = -1,
        interval: float = 0.0,
    ) -> None:
        self.finish: dict[int, asyncio.Event] = {}
        self.began: list[int] = []
        self.runs: list[list[int]] = []
        self.fail: set[int] = set()
        self.forgotten = -1
        self.abandoned = False
        self.at_once = 1000
        self.settling_raises: Exception | None = None
        self.check_raises: Exception | None = None
        self.lane = Lane(
            executor=self,
            settler=Runs(self),
            start=0,
            capacity=capacity,
            settle_interval=interval,
            isolate_through=isolate_through,
        )

    def take(self, *offsets: int) -> None:
        for offset in offsets:
            self.finish[offset] = asyncio.Event()
            self.lane.take(record(offset))

    @property
    def settled(self) -> list[int]:
        return [offset for run in self.runs for offset in run]

    async def __aenter__(self) -> Self:
        await self.lane.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.lane.__aexit__()

    async def execute(self, record: Record, fetch: Turn, segmentation: Turn) -> Outcome:
        await fetch.come()
        self.began.append(record.offset)
        fetch.pass_on()
        await self.finish[record.offset].wait()
        if record.offset in self.fail:
            return Outcome(record, "failed", 1, failure=FAILURE)
        return Outcome(record, "completed", 1)

    def forget(self, through: int) -> None:
        self.forgotten = through

    async def abandon(self) -> None:
        self.abandoned = True

    async def settle(self, run: Sequence[Outcome]) -> int:
        await asyncio.sleep(0)
        if self.settling_raises:
            raise self.settling_raises
        self.runs.append([outcome.record.offset for outcome in run[: self.at_once]])
        return len(self.runs[-1])


class Runs(Settler):
    """Notes what is settled."""

    def __init__(self, bench: LaneBench) -> None:
        self._bench = bench

    async def settle(self, batch: Sequence[Outcome]) -> int:
        return await self._bench.settle(batch)

    def check(self) -> None:
        if self._bench.check_raises:
            raise self._bench.check_raises


async def quiet() -> None:
    """Let everything that can run now run."""
    for _ in range(50):
        await asyncio.sleep(0)


async def test_a_finished_job_waits_for_those_before_it() -> None:
    async with LaneBench() as bench:
        bench.take(0, 1, 2)
        bench.finish[2].set()
        bench.finish[1].set()
        await quiet()
        assert bench.runs == []
        bench.finish[0].set()
        await quiet()
        assert bench.runs == [[0, 1, 2]]


@pytest.mark.parametrize("seed", range(20))
async def test_whatever_the_order_of_finishing_settling_is_in_offset_order(seed: int) -> None:
    async with LaneBench(capacity=100) as bench:
        bench.take(*range(100))
        order = list(range(100))
        random.Random(seed).shuffle(order)
        for offset in order:
            bench.finish[offset].set()
            await quiet()
        assert bench.settled == list(range(100)), f"seed {seed}"
        assert bench.began == list(range(100)), f"seed {seed}"
        assert bench.lane.in_flight == 0


async def test_room_is_what_is_not_yet_settled() -> None:
    async with LaneBench(capacity=2) as bench:
        bench.take(0, 1)
        bench.finish[1].set()
        await quiet()
        assert bench.lane.room == 0
        bench.finish[0].set()
        await bench.lane.settled()
        assert bench.lane.room == 2


async def test_large_values_leave_no_room() -> None:
    async with LaneBench(capacity=100) as bench:
        bench.finish[0] = asyncio.Event()
        large = bytes(MOST_BYTES + 1)
        bench.lane.take(Record("mask.jobs", 0, 0, 0, b"k", large, ()))
        assert bench.lane.room == 0
        bench.finish[0].set()
        await bench.lane.settled()
        assert bench.lane.room == 100


async def test_a_drain_settles_what_finishes_in_time_and_abandons_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with LaneBench() as bench:
        bench.take(0, 1, 2)
        bench.finish[0].set()
        loop = asyncio.get_running_loop()
        now = loop.time()
        monkeypatch.setattr(loop, "time", lambda: now)
        draining = asyncio.create_task(bench.lane.drain(seconds=0.2))
        await quiet()
        bench.finish[1].set()
        await quiet()
        now += 0.3
        await draining
    assert bench.settled == [0, 1]
    assert bench.lane.in_flight == 0
    assert bench.abandoned


async def test_a_lane_that_is_lost_raises_and_settles_nothing_more() -> None:
    async with LaneBench() as bench:
        bench.settling_raises = LaneLost("fenced")
        bench.take(0)
        bench.finish[0].set()
        await bench.lane.settled()
        with pytest.raises(LaneLost, match="fenced"):
            bench.lane.check()
        assert bench.runs == []


async def test_what_a_settler_leaves_is_settled_next() -> None:
    async with LaneBench() as bench:
        bench.at_once = 2
        bench.take(*range(5))
        for offset in range(5):
            bench.finish[offset].set()
        await quiet()
        assert bench.runs == [[0, 1], [2, 3], [4]]
        assert (bench.lane.position, bench.lane.in_flight) == (5, 0)


async def test_a_settler_that_has_enough_ends_the_lane_behind_what_is_settled() -> None:
    async with LaneBench() as bench:
        bench.at_once = 3
        bench.check_raises = LaneHalted("too many dead letters", reason="dead_letters", after=2)
        bench.take(*range(5))
        for offset in range(5):
            bench.finish[offset].set()
        await quiet()
        with pytest.raises(LaneHalted, match="too many"):
            bench.lane.check()
        assert (bench.runs, bench.lane.position, bench.forgotten) == ([[0, 1, 2]], 3, 2)


async def test_a_settlement_that_needs_a_person_halts_the_line() -> None:
    async with LaneBench() as bench:
        bench.settling_raises = LaneHalted("the topic is too small", reason="topic_end")
        bench.take(0, 1)
        bench.finish[0].set()
        await quiet()
        with pytest.raises(LaneHalted, match="the topic is too small"):
            bench.lane.check()


async def test_records_to_isolate_run_one_at_a_time_and_then_all_have_room() -> None:
    async with LaneBench(capacity=4, isolate_through=7) as bench:
        assert bench.lane.room == 1
        for offset in (5, 7):
            bench.take(offset)
            assert bench.lane.room == 0
            bench.finish[offset].set()
            await bench.lane.settled()
        assert bench.lane.room == 4
        bench.take(8)
        assert bench.lane.room == 3


async def test_a_busy_lane_lets_the_next_run_grow_to_half_of_its_room() -> None:
    async with LaneBench(capacity=8, interval=3600) as bench:
        bench.take(*range(8))
        for offset in range(4):
            bench.finish[offset].set()
            await quiet()
        assert bench.runs == [[0]]
        bench.finish[4].set()
        await quiet()
        assert bench.runs == [[0], [1, 2, 3, 4]]


async def test_a_lane_with_nothing_more_under_way_settles_at_once() -> None:
    async with LaneBench(capacity=8, interval=3600) as bench:
        for offset in range(3):
            bench.take(offset)
            bench.finish[offset].set()
            await quiet()
        assert bench.runs == [[0], [1], [2]]


async def test_a_run_that_does_not_grow_is_settled_when_the_interval_is_over() -> None:
    async with LaneBench(capacity=8, interval=0.05) as bench:
        bench.take(*range(3))
        bench.finish[0].set()
        await bench.lane.settled()
        bench.finish[1].set()
        await bench.lane.settled()
        assert bench.runs == [[0], [1]]


async def test_a_record_that_comes_after_the_lanes_end_is_not_begun() -> None:
    """It was polled before, and belongs to the next owner."""
    async with LaneBench() as bench:
        bench.settling_raises = LaneHalted("the topic is too small", reason="topic_end")
        bench.take(0)
        bench.finish[0].set()
        await quiet()
        with pytest.raises(LaneHalted, match="too small"):
            bench.take(1)
    assert bench.began == [0]


async def test_a_task_that_is_cancelled_by_nobody_we_know_ends_the_lane() -> None:
    """Rather than let the line stand still."""
    async with LaneBench() as bench:
        bench.take(0)
        await quiet()
        next(iter(task for task in asyncio.all_tasks() if task.get_name() == "job 0")).cancel()
        await quiet()
        with pytest.raises(LaneLost, match="job 0 was cancelled"):
            bench.lane.check()
