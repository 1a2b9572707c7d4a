"""The line: a membership of the group, kept up; with the partition, a lane that settles."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from consumer.backoff import Backoff
from consumer.errors import LaneHalted, LaneLost
from consumer.job.executor import JobExecutor
from consumer.job.outcome import Outcome
from consumer.job.services import Services
from consumer.line.cancellation import Cancellations
from consumer.line.intake import Intake
from consumer.line.lane import Lane
from consumer.line.ledger import Ledger
from consumer.line.settlement import Settlement
from consumer.line.start import find_start
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
        settlement = await resources.enter_async_context(Settlement(self._kafka, partition))
        publisher = await resources.enter_async_context(StatusPublisher(self._kafka))
        cancellations = await resources.enter_async_context(Cancellations(self._kafka))

        async def settle(batch: Sequence[Outcome]) -> None:
            begin, last = time.perf_counter(), batch[-1].record.offset
            await settlement.settle(batch, bookmark=self._ledger.bookmark(after=last))
            self._ledger.forget(through=last)
            cancellations.forget(through=last)
            self._throughput.settled(batch, seconds=time.perf_counter() - begin)
            self._from_offset = None

        executor = JobExecutor(
            self.services, publisher=publisher, ledger=self._ledger, cancels=cancellations
        )
        new_lane = partial(
            Lane,
            capacity=self._limits.max_in_flight,
            dead_letter_limit=self._limits.dead_letter_limit,
            execute=executor.execute,
            settle=settle,
            settle_interval=SETTLE_INTERVAL_SECONDS,
        )
        try:
            start, bookmark = await find_start(
                consumer, partition, settings=self._kafka, from_offset=self._from_offset
            )
        except LaneHalted as reason:
            lane = new_lane()
            await lane.halt(str(reason))
            return lane, 0
        await self._ledger.read(self._kafka, partition, bookmark=bookmark, start=start)
        self.lost = None
        return new_lane(isolate_through=self._ledger.last_crashed()), start


async def _pause(losses: int, stop: asyncio.Event) -> None:
    """Wait a little longer each time; a broker that is away is asked a few times a minute."""
    waiter = asyncio.create_task(stop.wait())
    await asyncio.wait([waiter], timeout=REJOIN_BACKOFF.delay(losses))
    waiter.cancel()
