"""A lane with what takes records into it and what settles those that leave it."""

from dataclasses import dataclass
from typing import Self

from consumer.job.executor import JobExecutor
from consumer.job.services import Services
from consumer.kafka.committed import RunProgress
from consumer.line.clients import LaneClients
from consumer.line.failures import FailuresInARow
from consumer.line.intake import Intake
from consumer.line.lane import Lane
from consumer.line.ledger import Ledger
from consumer.line.settler import Settler
from consumer.line.start import Start
from consumer.line.throughput import Throughput
from consumer.settings import LineSettings

SETTLE_INTERVAL_SECONDS = 0.2  # why: docs/adr/0013-settle-interval.md


@dataclass(frozen=True, slots=True)
class OpenLane:
    """A lane's parts, put together over its clients."""

    lane: Lane
    intake: Intake
    settler: Settler

    @classmethod
    def over(
        cls,
        clients: LaneClients,
        start: Start,
        *,
        limits: LineSettings,
        services: Services,
        ledger: Ledger,
        throughput: Throughput,
        run: RunProgress | None,
    ) -> Self:
        """Put them together; `run`: how far the replay run is, if this is one."""
        executor = JobExecutor(
            services, publisher=clients.publisher, ledger=ledger, cancels=clients.cancellations
        )
        settler = Settler(
            settlement=clients.settlement,
            ledger=ledger,
            cancellations=clients.cancellations,
            failures=FailuresInARow(limits.dead_letter_limit, count=start.failures),
            throughput=throughput,
            topic_id=start.topic_id,
            run=run,
        )
        lane = Lane(
            executor=executor,
            settler=settler,
            start=start.offset,
            capacity=limits.max_in_flight,
            settle_interval=SETTLE_INTERVAL_SECONDS,
            isolate_through=ledger.last_crashed(),
        )
        end = run.offsets.stop if run else None
        return cls(lane, Intake(clients.reader, clients.partition, lane=lane, end=end), settler)
