"""The line: a membership of the group, kept up; with the partition, a lane that settles."""

import asyncio
import random
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from consumer.cancellation import Cancellations
from consumer.errors import LaneHalted, LaneLost, StartError
from consumer.history import committed, last_settled
from consumer.intake import Intake
from consumer.job import work
from consumer.lane import Lane
from consumer.ledger import Ledger
from consumer.outcome import Outcome
from consumer.services import Services
from consumer.settings import KafkaSettings, LineSettings
from consumer.settlement import Settlement
from consumer.status import StatusPublisher
from consumer.tally import Tally

log = structlog.get_logger()

REJOIN_SECONDS = (0.2, 15.0)
SETTLE_INTERVAL_SECONDS = 0.2  # why: docs/adr/0013-settle-interval.md


class Line:
    """Joins the group and, whenever its lane is lost, leaves it and joins anew."""

    def __init__(
        self,
        kafka: KafkaSettings,
        limits: LineSettings,
        *,
        services: Services,
        tally: Tally,
        from_offset: int | None = None,
    ) -> None:
        """`from_offset`: where a person told the first lane to start, past what is lost."""
        self._kafka = kafka
        self._limits = limits
        self._tally = tally
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
                losses = 1 if time.monotonic() - joined_at > REJOIN_SECONDS[1] else losses + 1
                self.lost = str(reason)
                self._tally.lost()
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
        """Fence the former owner first: before that, what it committed isn't final."""
        settlement = await resources.enter_async_context(Settlement(self._kafka, partition))
        status = await resources.enter_async_context(StatusPublisher(self._kafka))
        cancellations = await resources.enter_async_context(Cancellations(self._kafka))

        async def settle(run: Sequence[Outcome]) -> None:
            begin, last = time.perf_counter(), run[-1].record.offset
            await settlement.settle(run, bookmark=self._ledger.bookmark(after=last))
            self._ledger.forget(through=last)
            cancellations.forget(through=last)
            self._tally.settled(run, seconds=time.perf_counter() - begin)
            self._from_offset = None

        work_one = partial(
            work,
            services=self.services,
            status=status,
            ledger=self._ledger,
            cancellations=cancellations,
        )
        new_lane = partial(
            Lane,
            capacity=self._limits.max_in_flight,
            dead_letter_limit=self._limits.dead_letter_limit,
            work=work_one,
            settle=settle,
            settle_interval=SETTLE_INTERVAL_SECONDS,
        )
        try:
            start, bookmark = await self._start(consumer, partition)
        except LaneHalted as reason:
            lane = new_lane()
            await lane.halt(str(reason))
            return lane, 0
        await self._ledger.read(self._kafka, partition, bookmark=bookmark, start=start)
        self.lost = None
        return new_lane(alone_through=self._ledger.last_suspect()), start

    async def _start(
        self, consumer: AIOKafkaConsumer, partition: TopicPartition
    ) -> tuple[int, str | None]:
        """Where the lane starts, and the bookmark of the ledger.

        Raises:
            LaneHalted: the topic no longer has what follows the last settled record.
            StartError: `from_offset` would settle records a second time.
        """
        partitions = consumer.partitions_for_topic(partition.topic) or {0}
        if len(partitions) > 1:
            raise LaneHalted(
                f"{partition.topic} has {len(partitions)} partitions now: there is no order in it"
            )
        first: int = (await consumer.beginning_offsets([partition]))[partition]
        end: int = (await consumer.end_offsets([partition]))[partition]
        settled, bookmark = await committed(self._kafka, partition)
        if settled is None:
            last = await last_settled(self._kafka, partition)
            settled = None if last is None else last + 1
        if self._from_offset is not None:
            return _told(self._from_offset, settled, end), bookmark
        start = first if settled is None else settled
        if start < first:
            raise LaneHalted(
                f"offsets {start} to {first - 1} of {partition.topic} are gone (retention) and were"
                f" never settled: `maskline consume --from-offset {first}` goes on without them"
            )
        if start > end:
            raise LaneHalted(
                f"group {self._kafka.consumer_group} has settled {partition.topic} up to offset"
                f" {start}, but the topic ends at {end}: was it made anew? Use another"
                " CONSUMER_GROUP, or delete the group's offsets"
            )
        return start, bookmark


def _told(start: int, settled: int | None, end: int) -> int:
    if settled is not None and start < settled:
        raise StartError(
            f"--from-offset {start}: records up to offset {settled - 1} are settled, and each"
            " is settled once. To process them again, replay them",
            exit_code=2,
        )
    if start > end:
        raise StartError(f"--from-offset {start}: the jobs topic ends at offset {end}", exit_code=2)
    log.warning("line.start_told", offset=start, settled=settled)
    return start


async def _pause(losses: int, stop: asyncio.Event) -> None:
    """Wait a little longer each time; a broker that is away is asked a few times a minute."""
    least, most = REJOIN_SECONDS
    seconds = min(most, least * 2**losses) * random.uniform(0.5, 1.0)  # noqa: S311  jitter
    waiter = asyncio.create_task(stop.wait())
    await asyncio.wait([waiter], timeout=seconds)
    waiter.cancel()
