"""Intake: one membership of the consumer group, from joining to leaving.

It keeps polling whatever happens, so that the group keeps its member; it opens a lane when the
partition comes, and closes it when the partition goes. Whatever breaks the lane ends the
membership. A lane is never rebuilt in place: Kafka may already have given the partition to
another consumer.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import NoReturn, Self

import structlog
from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError

from consumer.errors import LaneHalted, LaneLost
from consumer.job.record import Record
from consumer.kafka.clients import stop_consumer
from consumer.kafka.connection import connection_options
from consumer.kafka.reader import AnyRecord, Reader, UnreadableRecord
from consumer.line.lane import Lane
from consumer.line.start import why_not_from
from consumer.settings import KafkaSettings

log = structlog.get_logger()

SESSION_TIMEOUT_MS = 6_000
# A leaving owner is replaced at the next heartbeat of the standby.
HEARTBEAT_INTERVAL_MS = 500
REBALANCE_TIMEOUT_MS = 60_000
# Reading all of the status topic may take this long, where the committed offset is lost.
OPEN_SECONDS = 240.0
POLL_MS = 200
IDLE_SECONDS = 1.0
# Asked for this one, aiokafka gives no record and keeps what it has read ahead of ours. Of a
# partition that is paused it throws that away, up to 1 MiB, to read it again with each poll.
_NO_PARTITION = TopicPartition("", 0)

OpenLane = Callable[[Reader, TopicPartition, AsyncExitStack], Awaitable[tuple[Lane, int]]]


class Intake(ConsumerRebalanceListener):  # type: ignore[misc]
    """Takes records off the partition, as many as the lane has room for."""

    def __init__(
        self, settings: KafkaSettings, *, open_lane: OpenLane, drain_seconds: float
    ) -> None:
        """`open_lane` gives a lane for a partition, and the offset to start from.

        What it enters into the exit stack is closed with the lane; `drain_seconds` bounds how
        long a lane that must go may still settle.
        """
        self._settings = settings
        self._open_lane = open_lane
        self._drain_seconds = drain_seconds
        self._consumer = Reader(
            group_id=settings.consumer_group,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="none",
            partition_assignment_strategy=(StickyPartitionAssignor,),
            session_timeout_ms=SESSION_TIMEOUT_MS,
            heartbeat_interval_ms=HEARTBEAT_INTERVAL_MS,
            rebalance_timeout_ms=REBALANCE_TIMEOUT_MS,
            **connection_options(settings),
        )
        self._changed = asyncio.Event()
        self._opening = asyncio.Lock()
        self._resources = AsyncExitStack()
        self._position: int | None = None
        self.joined = False
        self.assigned: TopicPartition | None = None
        self.lane: Lane | None = None

    async def __aenter__(self) -> Self:
        """Join the group; raise `LaneLost` where Kafka can't be reached."""
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                await self._consumer.start()
        except BaseException as error:
            await self._leave()
            if isinstance(error, KafkaError | TimeoutError):
                raise LaneLost(f"the group can't be joined: {error!r}") from error
            raise
        self._consumer.subscribe([self._settings.jobs_topic], listener=self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, *_: BaseException | TracebackType | None
    ) -> None:
        """Settle what can be settled, unless the lane is what broke; then leave the group."""
        await self._close_lane(drain_seconds=0.0 if kind else self._drain_seconds)
        await self._leave()

    async def run(self, stop: asyncio.Event) -> None:
        """Take records until `stop`; raise what ends the membership before."""
        polling = asyncio.create_task(self._poll(), name="intake.poll")
        stopping = asyncio.create_task(stop.wait(), name="intake.stop")
        try:
            await asyncio.wait({polling, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if polling.done():
                polling.result()
        except KafkaError as error:
            raise LaneLost(f"the group or the jobs topic can't be read: {error!r}") from error
        finally:
            polling.cancel()
            stopping.cancel()
            await asyncio.wait({polling, stopping})

    def progress(self) -> tuple[int | None, int | None]:
        """The offset of the next record to take, and the topic's end as last fetched."""
        if self.assigned is None or self.lane is None:
            return None, None
        return self._position, self._consumer.highwater(self.assigned)

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Close the lane before another member may open one."""
        self.joined = False
        self.assigned = None
        await self._close_lane(drain_seconds=self._drain_seconds)

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Note what we own: the loop opens the lane, since an error raised here would be lost."""
        # aiokafka never calls this: without it an owner that was away and comes back claims the
        # partition as loudly as the one who has it now, and takes it back half the time.
        StickyPartitionAssignor.on_generation_assignment(self._consumer._coordinator.generation)
        self.joined = True
        self.assigned = next(iter(assigned), None)
        if self.assigned is not None:
            log.info("partition.assigned", partition=self.assigned.partition)
        self._changed.set()

    async def _poll(self) -> NoReturn:
        while True:
            if self.assigned is not None and self.lane is None:
                await self._open()
            lane = self.lane
            if lane is not None:
                lane.check()
            if lane is None or lane.halted:
                await self._poll_nothing(self._changed.wait())
            elif lane.room <= 0:
                await self._poll_nothing(lane.settled())
            else:
                await self._take(lane)

    async def _open(self) -> None:
        async with self._opening:
            partition = self.assigned
            if partition is None:
                return
            try:
                async with asyncio.timeout(OPEN_SECONDS):
                    lane, offset = await self._open_lane(self._consumer, partition, self._resources)
            except TimeoutError as error:
                raise LaneLost(f"the lane can't be opened in {OPEN_SECONDS:g} s") from error
            if self.assigned != partition:
                return
            self.lane = lane
            if lane.halted is None:
                self._consumer.seek(partition, offset)
                self._position = offset
                lane.open()
            log.info("lane.opened", partition=partition.partition, offset=offset)

    async def _close_lane(self, *, drain_seconds: float) -> None:
        async with self._opening:
            lane, self.lane = self.lane, None
            if lane is not None:
                await lane.close(drain_seconds=drain_seconds)
                log.info("lane.closed")
            await self._resources.aclose()

    async def _take(self, lane: Lane) -> None:
        try:
            batches = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=lane.room)
        except NoOffsetForPartitionError:
            return  # raised for the time before the lane's own seek
        except OffsetOutOfRangeError:
            await self._halt_before_what_is_gone(lane)
            return
        for records in batches.values():
            for record in records:
                # A lane closed meanwhile leaves the record to the partition's next owner.
                if lane is self.lane:
                    lane.take(_as_arrived(record))
                    self._position = record.offset + 1

    async def _halt_before_what_is_gone(self, lane: Lane) -> None:
        """Settle what was taken, since that is here; then halt, and say what is gone."""
        if lane.in_flight:
            await self._poll_nothing(lane.settled())
        elif self.assigned is not None and self._position is not None:
            why = await why_not_from(self._consumer, self.assigned, self._position)
            await lane.halt(LaneHalted(why))

    async def _poll_nothing(self, event: Awaitable[object]) -> None:
        """Wait a moment for `event`, then show the group that we are there, taking no record."""
        self._changed.clear()
        waiter = asyncio.ensure_future(event)
        done, _ = await asyncio.wait([waiter], timeout=IDLE_SECONDS)
        waiter.cancel()
        if done:
            return
        await self._consumer.getmany(_NO_PARTITION, timeout_ms=0)

    async def _leave(self) -> None:
        log.info("group.leaving")
        if not await stop_consumer(self._consumer):
            log.warning("group.not_left", reason="the session's time-out serves too")


def _as_arrived(record: AnyRecord) -> Record:
    unreadable = record if isinstance(record, UnreadableRecord) else None
    return Record(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        timestamp_ms=record.timestamp,
        key=record.key,
        value=record.value,
        headers=record.headers,
        unreadable=unreadable.reason if unreadable else "",
        value_bytes=unreadable.value_bytes if unreadable else None,
    )
