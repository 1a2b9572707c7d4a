"""A lane: one partition's jobs, started in offset order and settled in offset order.

The lane is a queue of tasks. A record is taken at its tail, where its task starts; whatever is
finished at its head, one task or many, is settled as one batch. First in, first out, many in
flight, contiguous commits and ordered terminal events follow from that and need no bookkeeping.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from itertools import takewhile
from typing import Any

import structlog

from consumer.errors import LaneHalted, LaneLost
from consumer.job.outcome import Outcome
from consumer.job.record import Record
from consumer.job.turns import Turn, Turns

log = structlog.get_logger()

Execute = Callable[[Record, Turn, Turn], Coroutine[Any, Any, Outcome]]
Settle = Callable[[Sequence[Outcome]], Awaitable[None]]
IsLifted = Callable[[int], bool]


def _never(_: int) -> bool:
    return False


class Lane:
    """One partition's jobs in flight, from taking to settling."""

    def __init__(
        self,
        *,
        capacity: int,
        execute: Execute,
        settle: Settle,
        settle_interval: float = 0.0,
        isolate_through: int = -1,
        is_lifted: IsLifted = _never,
    ) -> None:
        """Hold `capacity` jobs.

        `execute` turns a record into its outcome, given its turns to fetch and to segment.
        `settle` makes a batch of outcomes durable; it raises `LaneLost` where it can't, and
        `LaneHalted` where a person must look. A busy lane lets `settle_interval` seconds pass from
        one batch to the next. Records up to offset `isolate_through` run one at a time: a crash
        then counts against its cause alone. `is_lifted` says of a halt behind an offset whether
        `maskline resume` has lifted it.
        """
        self._capacity = capacity
        self._execute = execute
        self._settle = settle
        self._settle_interval = settle_interval
        self._next_batch = 0.0
        self._isolate_through = isolate_through
        self._last_taken = -1
        self._isolated: asyncio.Task[Outcome] | None = None
        self._tasks: deque[asyncio.Task[Outcome]] = deque()
        self._fetches = Turns()
        self._segmentations = Turns()
        self._taken = asyncio.Event()
        self._settled = asyncio.Event()
        self._settler: asyncio.Task[None] | None = None
        self._is_lifted = is_lifted
        self._halted_after: int | None = None
        self.halted: str | None = None

    @property
    def in_flight(self) -> int:
        """Jobs taken and not yet settled."""
        return len(self._tasks)

    @property
    def room(self) -> int:
        """How many more records may be taken now."""
        return (1 if self._isolating else self._capacity) - len(self._tasks)

    def open(self) -> None:
        """Begin to settle."""
        self._settler = asyncio.create_task(self._settle_batches(), name="lane.settle")

    def take(self, record: Record) -> None:
        """Start the record's job behind all those taken before it."""
        work = self._execute(record, self._fetches.draw(), self._segmentations.draw())
        task = asyncio.create_task(work, name=f"job {record.offset}")
        if record.offset <= self._isolate_through:
            self._isolated = task
        self._tasks.append(task)
        self._last_taken = record.offset
        self._taken.set()

    def check(self) -> None:
        """Raise what ended the lane, if anything did."""
        if self._settler is not None and self._settler.done() and not self._settler.cancelled():
            self._settler.result()
        if self._halted_after is not None and self._is_lifted(self._halted_after):
            raise LaneLost("`maskline resume` lifts the halt: the lane is opened anew")

    async def settled(self) -> None:
        """Wait until a batch is settled, or the lane has ended."""
        self._settled.clear()
        await self._settled.wait()

    async def close(self, *, drain_seconds: float) -> None:
        """Settle what finishes within `drain_seconds`, then leave the rest to the next owner."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(drain_seconds):
                while self._tasks and self._settler and not self._settler.done():
                    await self.settled()
        await self._stop_settling()
        await self._abandon()

    async def halt(self, reason: LaneHalted) -> None:
        """Settle nothing more until an operator says how to go on; log the reason."""
        self.halted = str(reason)
        self._halted_after = reason.after
        log.error("line.halted", reason=str(reason))
        await self._stop_settling()
        await self._abandon()
        self._settled.set()

    @property
    def _isolating(self) -> bool:
        """Whether an isolated record is under way, or may be the next one."""
        under_way = bool(self._tasks) and self._tasks[0] is self._isolated
        return under_way or self._last_taken < self._isolate_through

    async def _settle_batches(self) -> None:
        try:
            while self.halted is None:
                batch = await self._finished_batch()
                await self._settle(batch)
                for _ in batch:
                    self._tasks.popleft()
                self._settled.set()
        except LaneHalted as reason:
            await self.halt(reason)
        finally:
            self._settled.set()

    async def _finished_batch(self) -> list[Outcome]:
        """Wait for the head, then give it and all that is finished right behind it."""
        while not self._tasks:
            self._taken.clear()
            await self._taken.wait()
        await asyncio.wait([self._tasks[0]])
        await self._let_grow()
        batch: list[Outcome] = []
        for task in self._tasks:
            if not task.done():
                break
            batch.append(task.result())
        return batch

    async def _let_grow(self) -> None:
        """Keep a busy lane from settling job by job: a batch costs the same for many as for one.

        It waits until the interval since the last batch is over, but never while nothing more is
        under way, nor once half of the room is finished work.
        """
        while (left := self._next_batch - time.monotonic()) > 0:
            finished = sum(1 for _ in takewhile(asyncio.Task.done, self._tasks))
            if finished == len(self._tasks) or finished >= self._capacity // 2:
                break
            await asyncio.wait([self._tasks[finished]], timeout=left)
        self._next_batch = time.monotonic() + self._settle_interval

    async def _stop_settling(self) -> None:
        if self._settler is not None and self._settler is not asyncio.current_task():
            self._settler.cancel()
            await asyncio.wait([self._settler])

    async def _abandon(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._tasks.clear()
