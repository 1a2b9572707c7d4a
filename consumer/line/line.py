"""The line: a membership of the group, kept up; with the partition, a lane that settles."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from consumer.backoff import Backoff
from consumer.errors import LaneHalted, LaneLost
from consumer.job.executor import JobExecutor
from consumer.job.outcome import Outcome
from consumer.job.services import Services
from consumer.kafka.topics import message_limits
from consumer.line.cancellation import Cancellations
from consumer.line.failures import FailuresInARow
from consumer.line.intake import Intake
from consumer.line.lane import Lane
from consumer.line.ledger import Ledger
from consumer.line.settlement import Settlement
from consumer.line.settler import Settler, halted_for
from consumer.line.start import Start, find_start
from consumer.line.status import StatusPublisher
from consumer.line.throughput import Throughput
from consumer.settings import KafkaSettings, LineSettings

log = structlog.get_logger()

REJOIN_BACKOFF = Backoff(first=0.2, longest=15.0, least_share=0.5)
SETTLE_INTERVAL_SECONDS = 0.2  # why: docs/adr/0013-settle-interval.md


class Line:
    """Joins the group. Whenever its lane is lost, it leaves and joins again."""

    def __init__(
        self,
        kafka: KafkaSettings,
        limits: LineSettings,
        *,
        services: Services,
        throughput: Throughput,
        from_offset: int | None = None,
    ) -> None:
        """`from_offset`: the operator's choice of the first lane's start, past what is lost."""
        self._kafka = kafka
        self._limits = limits
        self._throughput = throughput
        self._ledger = Ledger()
        self.services = services
        self._from_offset = from_offset
        self.intake: Intake | None = None
        self.lost: str | None = None
        self.cancellations: Cancellations | None = None
        self._settler: Settler | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop`, then settle what is in flight and leave the group."""
        losses = 0
        while not stop.is_set():
            joined_at = time.monotonic()
            try:
                await self._serve(stop)
            except LaneLost as reason:
                losses = 1 if time.monotonic() - joined_at > REJOIN_BACKOFF.longest else losses + 1
                self.lost = str(reason)
                self._throughput.lane_lost()
                log.warning("lane.lost", reason=str(reason))
                await _pause(losses, stop)

    async def _serve(self, stop: asyncio.Event) -> None:
        intake = Intake(
            self._kafka,
            open_lane=self._open_lane,
            drain_seconds=self._limits.shutdown_grace_seconds,
        )
        try:
            async with intake:
                self.intake = intake
                await intake.run(stop)
        finally:
            self.intake = None

    async def _open_lane(
        self, consumer: AIOKafkaConsumer, partition: TopicPartition, resources: AsyncExitStack
    ) -> tuple[Lane, int]:
        """Fence the former owner first: only then is its committed offset final."""
        limits = await message_limits(self._kafka)
        settlement = await resources.enter_async_context(
            Settlement(self._kafka, partition, limits=limits)
        )
        publisher = await resources.enter_async_context(
            StatusPublisher(self._kafka, limit=limits.status)
        )
        cancellations = await resources.enter_async_context(Cancellations(self._kafka))
        self.cancellations = cancellations
        new_lane = partial(
            Lane,
            capacity=self._limits.max_in_flight,
            execute=JobExecutor(
                self.services, publisher=publisher, ledger=self._ledger, cancels=cancellations
            ).execute,
            settle_interval=SETTLE_INTERVAL_SECONDS,
            is_lifted=cancellations.is_lifted,
        )
        try:
            start = await self._find_start(consumer, partition, cancellations)
        except LaneHalted as reason:
            lane = new_lane(settle=_settle_nothing)
            await lane.halt(reason)
            return lane, 0
        await self._ledger.read(self._kafka, partition, place=start.place, start=start.offset)
        self.lost = None
        settler = self._settler = self._new_settler(settlement, cancellations, start)
        isolate_through = self._ledger.last_crashed()
        return new_lane(settle=settler.settle, isolate_through=isolate_through), start.offset

    async def _find_start(
        self, consumer: AIOKafkaConsumer, partition: TopicPartition, cancellations: Cancellations
    ) -> Start:
        """Give the start; raise `LaneHalted` also where a former owner halted, unless lifted."""
        if self._settler is not None and self._settler.has_settled:
            self._from_offset = None  # it has served
        start = await find_start(
            consumer, partition, settings=self._kafka, from_offset=self._from_offset
        )
        after = start.halted_after
        if after is None:
            return start
        if not cancellations.is_lifted(after):
            raise halted_for(start.failures, after=after)
        return replace(start, failures=0)

    def _new_settler(
        self, settlement: Settlement, cancellations: Cancellations, start: Start
    ) -> Settler:
        return Settler(
            settlement,
            ledger=self._ledger,
            cancellations=cancellations,
            failures=FailuresInARow(self._limits.dead_letter_limit, count=start.failures),
            throughput=self._throughput,
            topic_id=start.topic_id,
        )


async def _settle_nothing(_: Sequence[Outcome]) -> None:
    """What a lane settles that halted before it was opened."""


async def _pause(losses: int, stop: asyncio.Event) -> None:
    """Wait a little longer each time; a broker that is away is asked a few times a minute."""
    waiter = asyncio.create_task(stop.wait())
    await asyncio.wait([waiter], timeout=REJOIN_BACKOFF.delay(losses))
    waiter.cancel()
