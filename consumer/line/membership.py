"""Membership: in the consumer group, from joining to leaving. It says who owns the partition.

It reads no record: the lane has a reader of its own, which a rebalance doesn't touch. A rebalance
that gives the partition back to this member changes nothing; what keeps two owners apart is the
transactional producer of the next one (docs/adr/0025-a-rebalance-leaves-the-lane-alone.md).
"""

import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import NoReturn, Self

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import KafkaError

from consumer.errors import LaneLost
from consumer.kafka.clients import stop_consumer
from consumer.kafka.connection import connection_options
from consumer.line.race import race
from consumer.settings import KafkaSettings

log = structlog.get_logger()

SESSION_TIMEOUT_MS = 6_000
SESSION_SECONDS = SESSION_TIMEOUT_MS / 1000
# A leaving owner is replaced at the next heartbeat of the standby.
HEARTBEAT_INTERVAL_MS = 500
REBALANCE_TIMEOUT_MS = 60_000
JOIN_SECONDS = 60.0
POLL_SECONDS = 1.0
ASK_SECONDS = 3.0
# Asked for this one, aiokafka shows the group that we are there, and gives no record.
_NO_PARTITION = TopicPartition("", 0)


@dataclass(frozen=True, slots=True)
class Tenure:
    """A time without a break in which this member owns the partition."""

    partition: TopicPartition
    member_id: str


class Membership(ConsumerRebalanceListener):  # type: ignore[misc]
    """One member of the group: joined, polled and left."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._jobs = TopicPartition(settings.jobs_topic, 0)
        self._consumer = AIOKafkaConsumer(
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
        self._rebalancing = False
        self._heartbeat_at = self._end_at = time.monotonic()
        self.joined = False
        self.stood_by = False
        self.tenure: Tenure | None = None
        self.end_offset: int | None = None

    async def __aenter__(self) -> Self:
        """Begin to join the group; raise `LaneLost` where Kafka can't be reached."""
        try:
            async with asyncio.timeout(JOIN_SECONDS):
                await self._consumer.start()
        except BaseException as error:
            await self._leave()
            if isinstance(error, KafkaError | TimeoutError):
                raise LaneLost(f"the group can't be joined: {error!r}") from error
            raise
        self._note_heartbeats()
        self._consumer.subscribe([self._jobs.topic], listener=self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, *_: BaseException | TracebackType | None
    ) -> None:
        await self._leave()

    async def run(self) -> NoReturn:
        """Show the group that we are there, and keep an eye on the topic's end.

        Raises:
            LaneLost: the group refuses us.
        """
        try:
            await race(self._poll(), self._watch_end())
        except KafkaError as error:
            raise LaneLost(f"the group can't be kept: {error!r}") from error
        raise AssertionError("neither ends by itself")

    async def owns(self) -> None:
        """Wait until the partition is ours."""
        while self.tenure is None:
            await self._change()

    async def ends(self, tenure: Tenure) -> None:
        """Wait until the partition is no longer ours, or was another's meanwhile."""
        while self.tenure is tenure:
            await self._change()

    def unheard(self) -> str | None:
        """Say what hasn't answered for longer than the session's time-out, if anything."""
        silent = time.monotonic() - self._end_at
        if silent > SESSION_SECONDS:
            return f"Kafka hasn't told the end of {self._jobs.topic} for {silent:.0f} s"
        silent = time.monotonic() - self._heartbeat_at
        # A member that waits for the others to join sends no heartbeats.
        if self.joined and not self._rebalancing and silent > SESSION_SECONDS:
            return f"no heartbeat of the group's has been answered for {silent:.0f} s"
        return None

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Wait for what the new generation brings, unless the group has thrown us out."""
        self._rebalancing = True
        if self._consumer._coordinator.generation < 0:
            self.joined = False
            self._set_tenure(None)

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Note what we own; the same partition as before is the same tenure."""
        coordinator = self._consumer._coordinator
        # aiokafka never calls this: without it an owner that was away and comes back claims the
        # partition as loudly as the one who has it now, and takes it back half the time.
        StickyPartitionAssignor.on_generation_assignment(coordinator.generation)
        self._rebalancing = False
        self._heartbeat_at = time.monotonic()
        self.joined = True
        partition = next(iter(assigned), None)
        if partition is None:
            self.stood_by = True
            self._set_tenure(None)
            return
        # Paused, and with a position, aiokafka fetches nothing and asks for no offset.
        self._consumer.pause(partition)
        self._consumer.seek(partition, 0)
        tenure = Tenure(partition, coordinator.member_id)
        if tenure == self.tenure:
            log.info("partition.kept", generation=coordinator.generation)
            return
        log.info("partition.assigned", partition=partition.partition)
        self._set_tenure(tenure)

    def _set_tenure(self, tenure: Tenure | None) -> None:
        self.tenure = tenure
        self._changed.set()

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    async def _poll(self) -> NoReturn:
        while True:
            await self._consumer.getmany(_NO_PARTITION, timeout_ms=0)
            await asyncio.sleep(POLL_SECONDS)

    async def _watch_end(self) -> NoReturn:
        while True:
            # A broker that is away is said by `unheard`, and mends itself or ends the lane.
            with suppress(KafkaError, TimeoutError):
                async with asyncio.timeout(ASK_SECONDS):
                    ends = await self._consumer.end_offsets([self._jobs])
                self.end_offset = ends[self._jobs]
                self._end_at = time.monotonic()
            await asyncio.sleep(POLL_SECONDS)

    def _note_heartbeats(self) -> None:
        """Note when each is answered: aiokafka keeps that to itself."""
        coordinator = self._consumer._coordinator
        send = coordinator._do_heartbeat

        async def send_and_note() -> bool:
            answered: bool = await send()
            if answered:
                self._heartbeat_at = time.monotonic()
            return answered

        coordinator._do_heartbeat = send_and_note

    async def _leave(self) -> None:
        log.info("group.leaving")
        if not await stop_consumer(self._consumer):
            log.warning("group.not_left", reason="the session's time-out serves too")
