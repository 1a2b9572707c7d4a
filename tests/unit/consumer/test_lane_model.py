"""The lane's promise as a state machine: faults may fall between any two steps.

The broker is a list of terminal events and a committed offset that change together. Whatever is
finished, fenced, drained, killed or cancelled in between, every record ends up with exactly one
terminal event, in offset order, and the committed offset never falls.
"""

import asyncio
import contextlib
from collections.abc import Coroutine, Sequence
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from consumer.errors import LaneLost
from consumer.job.executor import JobExecutor
from consumer.job.outcome import Failure, Outcome
from consumer.job.record import Record
from consumer.job.turns import Turn
from consumer.line.lane import Lane
from consumer.line.settler import Settler
from schemas.status import ErrorInfo

CAPACITY = 5
FAILURE = Failure(
    ErrorInfo(code="invalid_image", message="broken", stage="segment", retryable=False), "x.Broken"
)


class LaneMachine(RuleBasedStateMachine):
    """One partition, its broker, and one owner after another."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.terminal: list[int] = []
        self.committed = 0
        self.next_fault = "none"
        self.broker_answers = asyncio.Event()
        self.broker_answers.set()
        self.lane: Lane | None = None

    def run(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run one step, and then all that can run without a new event."""

        async def step() -> None:
            await work
            for _ in range(30):
                await asyncio.sleep(0)

        self.loop.run_until_complete(step())

    @initialize()
    def begin(self) -> None:
        """A first owner opens its lane."""
        self.run(self._open())

    @precondition(lambda self: self.lane.room > 0)
    @rule(count=st.integers(1, CAPACITY))
    def take(self, count: int) -> None:
        """Take as many records as there is room for."""
        self.run(self._take(min(count, self.lane.room)))  # type: ignore[union-attr]

    @rule(data=st.data(), failed=st.booleans())
    def finish(self, data: st.DataObject, failed: bool) -> None:
        """Any job in flight finishes, whatever its place."""
        waiting = [offset for offset, done in self.finished.items() if not done.done()]
        if waiting:
            offset = data.draw(st.sampled_from(waiting))
            self.run(self._finish(offset, failed))

    @rule(fault=st.sampled_from(["fenced before it commits", "lost after it commits"]))
    def break_next_settlement(self, fault: str) -> None:
        """The next transaction ends badly; whether it is committed, only the broker knows."""
        self.next_fault = fault

    @rule()
    def freeze_or_thaw_the_broker(self) -> None:
        """A transaction under way waits, as long as the broker doesn't answer."""
        if self.broker_answers.is_set():
            self.broker_answers.clear()
        else:
            self.broker_answers.set()
            self.run(asyncio.sleep(0))

    @rule(drain=st.booleans())
    def hand_over(self, drain: bool) -> None:
        """The owner leaves, or dies; the next one goes on from the committed offset."""
        self.run(self._hand_over(drain))

    @invariant()
    def every_record_has_one_event_in_order(self) -> None:
        """What is settled is a gapless run of offsets from the first on, each once."""
        assert self.terminal == list(range(self.committed))

    @invariant()
    def work_begins_first_in_first_out(self) -> None:
        """Within one ownership, fetches and segmentations begin in offset order."""
        if self.lane is not None:
            assert self.fetched == sorted(self.fetched)
            assert self.segmented == sorted(self.segmented)

    @invariant()
    def no_more_is_taken_than_may_be_in_flight(self) -> None:
        """What is not yet settled has its place, also while its transaction is under way."""
        if self.lane is not None:
            assert self.next_offset - self.committed <= CAPACITY

    def teardown(self) -> None:
        """All that is left finishes: then nothing may be missing."""
        self.next_fault = "none"
        self.broker_answers.set()
        self.run(self._hand_over(drain=False))
        self.run(self._take(CAPACITY))
        end = self.next_offset
        for offset in list(self.finished):
            self.run(self._finish(offset, failed=False))
        assert self.terminal == list(range(end))
        self.run(self._leave(drain=False))
        self.loop.close()

    async def _open(self) -> None:
        self.finished: dict[int, asyncio.Future[bool]] = {}
        self.fetched: list[int] = []
        self.segmented: list[int] = []
        self.next_offset = self.committed
        self.lane = Lane(
            executor=Executor(self),
            settler=Broker(self),
            start=self.committed,
            capacity=CAPACITY,
        )
        await self.lane.__aenter__()

    async def _take(self, count: int) -> None:
        assert self.lane is not None
        with contextlib.suppress(LaneLost):  # the lane has ended: what follows isn't begun
            self.lane.check()
            await self._take_in_order(count)

    async def _take_in_order(self, count: int) -> None:
        assert self.lane is not None
        for _ in range(count):
            self.finished[self.next_offset] = self.loop.create_future()
            self.lane.take(Record("mask.jobs", 0, self.next_offset, 0, None, b"", ()))
            self.next_offset += 1

    async def _finish(self, offset: int, failed: bool) -> None:
        self.finished[offset].set_result(failed)

    async def _hand_over(self, drain: bool) -> None:
        assert self.lane is not None
        await self._leave(drain=drain)
        await self._open()

    async def _leave(self, *, drain: bool) -> None:
        assert self.lane is not None
        if drain:
            with contextlib.suppress(LaneLost):
                await self.lane.drain(seconds=0.001)
        await self.lane.__aexit__()

    async def work(self, record: Record, fetch: Turn, segmentation: Turn) -> Outcome:
        try:
            await dawdle(record.offset)
            await fetch.come()
            self.fetched.append(record.offset)
            fetch.pass_on()
            await dawdle(record.offset)
            await segmentation.come()
            self.segmented.append(record.offset)
            segmentation.pass_on()
            if await self.finished[record.offset]:
                return Outcome(record, "failed", 1, failure=FAILURE)
            return Outcome(record, "completed", 1)
        finally:
            fetch.pass_on()
            segmentation.pass_on()

    async def settle(self, run: Sequence[Outcome]) -> None:
        fault, self.next_fault = self.next_fault, "none"
        await self.broker_answers.wait()
        if fault == "fenced before it commits":
            raise LaneLost(fault)
        self.terminal += [outcome.record.offset for outcome in run]
        self.committed = run[-1].record.offset + 1
        if fault == "lost after it commits":
            raise LaneLost(fault)


class Executor(JobExecutor):
    """Has the machine do the work."""

    def __init__(self, machine: LaneMachine) -> None:
        self._machine = machine

    async def execute(self, record: Record, fetch: Turn, segmentation: Turn) -> Outcome:
        return await self._machine.work(record, fetch, segmentation)

    def forget(self, through: int) -> None:
        pass

    async def abandon(self) -> None:
        pass


class Broker(Settler):
    """Has the machine settle."""

    def __init__(self, machine: LaneMachine) -> None:
        self._machine = machine

    async def settle(self, batch: Sequence[Outcome]) -> int:
        await self._machine.settle(batch)
        return len(batch)

    def check(self) -> None:
        """It never has enough."""


async def dawdle(offset: int) -> None:
    """Be ready out of turn: a later job before an earlier one."""
    for _ in range(3 - offset % 4):
        await asyncio.sleep(0)


TestLane = LaneMachine.TestCase
TestLane.settings = settings(max_examples=60, stateful_step_count=30)
