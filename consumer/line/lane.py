"""A lane: one partition's jobs, started in offset order and settled in offset order.

The lane is a queue of tasks. A record is taken at its tail, where its task starts; whatever is
finished at its head, one task or many, is settled as one batch. First in, first out, many in
flight, contiguous commits and ordered terminal events follow from that and need no bookkeeping.
"""

import asyncio
import contextlib
import time
from collections import deque
from itertools import takewhile
from typing import Self

import structlog

from consumer.errors import LaneLost
from consumer.job.executor import JobExecutor
from consumer.job.outcome import Outcome
from consumer.job.record import Record
from consumer.job.turns import Turns
from consumer.line.settler import Settler

log = structlog.get_logger()

ABANDON_SECONDS = 10.0
MOST_BYTES = 64 * 1024 * 1024
"""Of the values in flight: with more than these, no further record is taken."""


class Lane:
    """One partition's jobs in flight, from taking to settling."""

    def __init__(
        self,
        *,
        executor: JobExecutor,
        settler: Settler,
        start: int,
        capacity: int,
        settle_interval: float = 0.0,
        isolate_through: int = -1,
    ) -> None:
        """Hold `capacity` jobs.

        `start` is the offset of the first record to take. A busy lane lets `settle_interval`
        seconds pass from one batch to the next. Records up to offset `isolate_through` run one at
        a time: a crash then counts against its cause alone.
        """
        self._executor = executor
        self._settler = settler
        self._capacity = capacity
        self._settle_interval = settle_interval
        self._next_batch = 0.0
        self._isolate_through = isolate_through
        self._isolated: asyncio.Task[Outcome] | None = None
        self._tasks: deque[asyncio.Task[Outcome]] = deque()
        self._fetches = Turns()
        self._segmentations = Turns()
        self._timestamps: deque[int] = deque()
        self._bytes = 0
        self._taken = asyncio.Event()
        self._settled = asyncio.Event()
        self._settling: asyncio.Task[None] | None = None
        self.next_offset = start
        """From here on nothing is taken yet."""
        self.position = start
        """From here on nothing is settled yet."""
        self.settled_at = time.time()
        """When it last settled something, or else began."""

    async def __aenter__(self) -> Self:
        """Begin to settle."""
        self._settling = asyncio.create_task(self._settle_batches(), name="lane.settle")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave what isn't settled to the next owner."""
        if self._settling is not None:
            self._settling.cancel()
            await asyncio.wait([self._settling])
        await self._abandon()

    @property
    def in_flight(self) -> int:
        """Jobs taken and not yet settled."""
        return len(self._tasks)

    @property
    def oldest_ms(self) -> int | None:
        """The timestamp of the oldest record that was taken and isn't settled, if there is one."""
        return self._timestamps[0] if self._timestamps else None

    @property
    def room(self) -> int:
        """How many more records may be taken now."""
        if self._bytes > MOST_BYTES:
            return 0
        return (1 if self._isolating else self._capacity) - len(self._tasks)

    def take(self, record: Record) -> None:
        """Start the record's job behind all those taken before it.

        Raises:
            LaneLost, LaneHalted: the lane has ended meanwhile, and the job isn't begun.
        """
        self.check()
        work = self._executor.execute(record, self._fetches.draw(), self._segmentations.draw())
        task = asyncio.create_task(work, name=f"job {record.offset}")
        if record.offset <= self._isolate_through:
            self._isolated = task
        self._tasks.append(task)
        self._timestamps.append(record.timestamp_ms)
        self._bytes += len(record.value or b"")
        self.next_offset = record.offset + 1
        self._taken.set()

    def pass_to(self, offset: int) -> None:
        """Note that before `offset` there is nothing more to take: offsets have gaps."""
        self.next_offset = max(self.next_offset, offset)

    def check(self) -> None:
        """Raise what ended the lane, if anything did."""
        if self._settling is None or not self._settling.done():
            return
        if self._settling.cancelled():
            raise LaneLost("the lane's settler was cancelled")
        self._settling.result()

    async def settled(self) -> None:
        """Wait until a batch is settled, or the lane has ended."""
        self._settled.clear()
        if self._settling is None or not self._settling.done():
            await self._settled.wait()

    async def drain(self, *, seconds: float | None) -> None:
        """Settle what finishes in so many seconds; None: all, however long it takes."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._tasks:
                    self.check()
                    await self.settled()

    @property
    def _isolating(self) -> bool:
        """Whether an isolated record is under way, or may be the next one."""
        under_way = bool(self._tasks) and self._tasks[0] is self._isolated
        return under_way or self.next_offset <= self._isolate_through

    async def _settle_batches(self) -> None:
        try:
            while True:
                batch = await self._finished_batch()
                settled = batch[: await self._settler.settle(batch)]
                for outcome in settled:
                    self._tasks.popleft()
                    self._timestamps.popleft()
                    self._bytes -= len(outcome.record.value or b"")
                self.position = settled[-1].record.offset + 1
                self.settled_at = time.time()
                self._executor.forget(through=settled[-1].record.offset)
                self._settled.set()
                self._settler.check()
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
            if task.cancelled():  # the lane cancels its tasks only when it no longer settles
                raise LaneLost(f"{task.get_name()} was cancelled, and neither a user nor we did it")
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

    async def _abandon(self) -> None:
        """Cancel what is under way, and publish of all that isn't settled that we gave it up."""
        if not self._tasks:
            return
        for task in self._tasks:
            task.cancel()
        _, stuck = await asyncio.wait(self._tasks, timeout=ABANDON_SECONDS)
        for task in stuck:
            log.error("job.not_ended", job=task.get_name())
        for task in self._tasks:
            if task.done() and not task.cancelled():
                task.exception()  # seen: whatever it is, the next owner begins the job again
        self._tasks.clear()
        self._timestamps.clear()
        await self._executor.abandon()
