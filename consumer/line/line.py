"""The line: a membership of the group, kept up; with the partition, a lane that settles.

Whatever breaks the lane ends the membership. A lane is never rebuilt in place: Kafka may already
have given the partition to another consumer.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from consumer.backoff import Backoff
from consumer.errors import LaneHalted, LaneLost, StartError
from consumer.job.services import Services
from consumer.kafka.committed import RunProgress
from consumer.kafka.connection import replace_login
from consumer.kafka.rights_watch import RightsWatch
from consumer.line.clients import LaneClients, lane_clients
from consumer.line.lane import Lane
from consumer.line.ledger import Ledger
from consumer.line.membership import Membership
from consumer.line.open_lane import OpenLane
from consumer.line.race import race, unless
from consumer.line.run import Run, begin_or_go_on
from consumer.line.settler import halted_for
from consumer.line.start import Start, find_start
from consumer.line.state import LineState
from consumer.line.throughput import Throughput
from consumer.settings import KafkaSettings, LineSettings

log = structlog.get_logger()

REJOIN_BACKOFF = Backoff(first=0.2, longest=15.0, least_share=0.5)
# A run with jobs in flight publishes each minute while it waits, and each job has its deadline.
SILENCE_SECONDS = 900.0
# Reading all of the status topic may take this long, where the committed offset is lost.
OPEN_SECONDS = 240.0


class Line:
    """Joins the group. Whenever its lane is lost, it leaves and joins again."""

    def __init__(
        self,
        kafka: KafkaSettings,
        limits: LineSettings,
        *,
        services: Services,
        throughput: Throughput,
        rights: RightsWatch,
        from_offset: int | None = None,
        run: Run | None = None,
    ) -> None:
        """`rights`: watched by others; a line that was lost tries again when one comes back.

        `from_offset`: the operator's choice of the first lane's start, past what is lost.

        `run`: the replay run to do in place of the line's own work; `kafka` is its own then.
        """
        self._kafka = kafka
        self._run = run
        self.ended: RunProgress | None = None
        """What came of the replay run, once it has come to its end."""
        self._limits = limits
        self._services = services
        self._throughput = throughput
        self._rights = rights
        self._ledger = Ledger()
        self._from_offset = from_offset
        self._owned_before = False
        self._membership: Membership | None = None
        self._clients: LaneClients | None = None
        self._lane: Lane | None = None
        self._halted: LaneHalted | None = None
        self._lost: str | None = None
        self._settled_at: float | None = None

    def state(self) -> LineState:
        """Say how the line is now."""
        membership, lane = self._membership, self._lane
        if membership is None:
            return LineState(lost=self._lost, rights_missing=self._rights.missing)
        return LineState(
            joined=membership.joined,
            assigned=membership.tenure is not None,
            opened=lane is not None and self._halted is None,
            halted=str(self._halted) if self._halted else None,
            halt_reason=self._halted.reason if self._halted else None,
            lost=self._lost,
            rights_missing=self._rights.missing,
            unheard=membership.unheard(),
            control_unheard=self._clients.cancellations.unheard if self._clients else None,
            producer_down=self._clients.producer_down() if self._clients else None,
            in_flight=lane.in_flight if lane else 0,
            position=lane.position if lane else None,
            next_offset=lane.next_offset if lane else None,
            end_offset=self._end_offset(membership),
            settled_at=lane.settled_at if lane else self._settled_at,
            oldest_ms=lane.oldest_ms if lane else None,
        )

    def renew(self, kafka: KafkaSettings) -> None:
        """Log in to Kafka by these settings from now on; what is under way goes on.

        They have the group that the line is in, a replay run's own.
        """
        old, self._kafka = self._kafka, kafka
        replace_login(old, kafka)

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop`, or until a replay run has come to its end; then leave the group.

        What is in flight is settled before.

        Raises:
            StartError: the operator's `from_offset` can't be used, or the run is another one.
            LaneHalted: the run has halted.
        """
        losses = 0
        while not stop.is_set() and self.ended is None:
            joined_at = time.monotonic()
            try:
                await self._serve(stop)
            except (StartError, LaneHalted):
                raise
            except Exception as error:
                if not isinstance(error, LaneLost):  # aiokafka has states that it didn't foresee
                    log.error("line.broken", exc_info=error)
                losses = 1 if time.monotonic() - joined_at > REJOIN_BACKOFF.longest else losses + 1
                self._lost = str(error) or repr(error)
                self._throughput.lane_lost()
                log.warning("lane.lost", reason=self._lost)
                await self._pause(losses, stop)

    async def _serve(self, stop: asyncio.Event) -> None:
        """Keep up one membership, until `stop`, or until the lane is lost."""
        async with Membership(self._kafka) as membership:
            self._membership = membership
            try:
                await race(membership.run(), self._own(membership, stop))
            finally:
                self._membership = None

    async def _own(self, membership: Membership, stop: asyncio.Event) -> None:
        """Have a lane whenever the partition is ours, until `stop`."""
        while not stop.is_set():
            await race(membership.owns(), stop.wait())
            self._owned_before |= membership.stood_by
            if membership.stood_by:
                self._settled_at = None  # another has settled since
            tenure = membership.tenure
            if tenure is not None and not stop.is_set():
                await race(self._run_lane(tenure.partition, stop), membership.ends(tenure))

    async def _run_lane(self, partition: TopicPartition, stop: asyncio.Event) -> None:
        """Open a lane, take records until `stop`, settle what is in flight."""
        try:
            async with AsyncExitStack() as clients:
                try:
                    lane = await unless(stop, self._open(partition, clients))
                    if lane is not None:
                        await self._work(lane, stop)
                except LaneHalted as reason:
                    if self._run is not None:
                        raise
                    await self._stay_halted(reason, stop)
        finally:
            self._clients = self._lane = self._halted = None

    async def _stay_halted(self, reason: LaneHalted, stop: asyncio.Event) -> None:
        """Keep the partition until a person acts; raise `LaneLost` where a resume lifts the halt.

        The lane is opened anew by whoever has the partition then.
        """
        self._halted = reason
        log.error("line.halted", reason=str(reason))
        if self._clients is None or reason.after is None:
            await stop.wait()
            return
        await race(self._clients.cancellations.lifted(reason.after), stop.wait())
        if not stop.is_set():
            raise LaneLost("`maskline resume` lifts the halt: the lane is opened anew")

    async def _work(self, opened: OpenLane, stop: asyncio.Event) -> None:
        lane = opened.lane
        start = lane.position
        # A line that loses lane after lane and settles nothing stands still.
        lane.settled_at = self._settled_at or lane.settled_at
        async with lane:
            self._lane, self._lost, self._owned_before = lane, None, True
            log.info("lane.opened", offset=start)
            try:
                await opened.intake.run(stop)
                if not stop.is_set():  # so it is a run, and all that it was told is taken
                    await race(lane.drain(seconds=None), stop.wait())
                    if not lane.in_flight:
                        self.ended = opened.settler.run
                        stop.set()
                await lane.drain(seconds=self._limits.shutdown_grace_seconds)
            finally:
                log.info("lane.closed", offset=lane.position)
                self._settled_at = lane.settled_at
                if lane.position > start:
                    self._from_offset = None  # it has served

    async def _open(self, partition: TopicPartition, resources: AsyncExitStack) -> OpenLane:
        """Give a lane; its clients are closed with `resources`."""
        run, progress = self._run, None
        async with _within(OPEN_SECONDS):
            clients = self._clients = await resources.enter_async_context(
                lane_clients(self._kafka, partition, replay_id=run.replay_id if run else None)
            )
            if run is None:
                start = await self._find_start(clients)
            else:
                start, progress = await begin_or_go_on(
                    clients, run, settings=self._kafka, stood_by=self._owned_before
                )
            await self._ledger.read(
                self._kafka,
                partition,
                place=start.place,
                start=start.offset,
                silence=None
                if run is None
                else SILENCE_SECONDS + self._limits.job_deadline_seconds,
            )
        return OpenLane.over(
            clients,
            start,
            limits=self._limits,
            services=self._services,
            ledger=self._ledger,
            throughput=self._throughput,
            run=progress,
        )

    async def _pause(self, losses: int, stop: asyncio.Event) -> None:
        """Wait a little longer each time; a broker that is away is asked a few times a minute."""
        with suppress(TimeoutError):
            async with asyncio.timeout(REJOIN_BACKOFF.delay(losses)):
                await race(stop.wait(), self._rights.restored())

    def _end_offset(self, membership: Membership) -> int | None:
        """Give where the work ends: the topic's end, or the run's own."""
        if self._run is None or membership.end_offset is None:
            return membership.end_offset
        return min(membership.end_offset, self._run.offsets.stop)

    async def _find_start(self, clients: LaneClients) -> Start:
        """Give where the lane starts; raise `LaneHalted` where a former owner's halt isn't lifted.

        An operator's `from_offset` holds until it is settled, be it by us or by the owner that we
        stood by for. Only a first owner is told that it is too low.
        """
        try:
            start = await find_start(
                clients.reader,
                clients.partition,
                settings=self._kafka,
                from_offset=self._from_offset,
            )
        except StartError:
            if not self._owned_before:
                raise
            self._from_offset = None
            return await self._find_start(clients)
        clients.cancellations.topic_id = start.topic_id
        after = start.halted_after
        if after is None:
            return start
        if not clients.cancellations.is_lifted(after):
            raise halted_for(start.failures, after=after)
        return replace(start, failures=0)


@asynccontextmanager
async def _within(seconds: float) -> AsyncIterator[None]:
    """Bound the opening of a lane.

    Raises:
        LaneLost: Kafka can't be reached, or takes too long.
    """
    try:
        async with asyncio.timeout(seconds):
            yield
    except (KafkaError, TimeoutError) as error:
        raise LaneLost(f"the lane can't be opened within {seconds:g} s: {error!r}") from error
