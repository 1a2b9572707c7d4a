"""The replay: a copy of each record at the jobs topic's tail, once, whatever dies in between."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime

from consumer.kafka.reader import AnyRecord
from consumer.settings import KafkaSettings
from producer_tools.client.copier import MOST_BYTES, MOST_RECORDS, Copier, NewRecord
from producer_tools.client.scan import Progress, scan
from producer_tools.replay.pace import Pace
from producer_tools.replay.plan import Plan, read_job
from schemas.job import Job
from schemas.redrive import without_redrive
from schemas.replay import RANGE, copy_id, write_range

GONE = "gone meanwhile (retention)"
TOO_LARGE = "too large for the jobs topic as copies"
IDEMPOTENCY_KEY = "idempotency_key"


@dataclass(frozen=True, slots=True)
class Replay:
    """One replay by copies."""

    settings: KafkaSettings
    replay_id: str
    model: str | None = None
    """The model that the copies name. None: that of the original."""

    async def run(self, copier: Copier, plan: Plan, pace: Pace, done: Progress) -> int:
        """Append a copy of each planned record, at this pace; return how many that were.

        Raises:
            ServiceError: Kafka doesn't answer, or the same replay was begun elsewhere. The same
                command goes on where this one stopped.
        """
        made = 0
        copies = self._copies(copier, plan)
        async with aclosing(copies):
            while True:
                part = await _take(copies, min(await pace.room(), MOST_RECORDS))
                if not part:
                    return made
                pace.add(await copier.append(part))
                made += len(part)
                done(made)

    async def _copies(self, copier: Copier, plan: Plan) -> AsyncGenerator[NewRecord, None]:
        """Yield a copy of each planned record, in order."""
        if not plan.records:
            return
        planned = iter(plan.records)
        due = next(planned, None)
        wanted = range(plan.records[0], plan.records[-1] + 1)
        records = scan(self.settings, self.settings.jobs_topic, wanted)
        async with aclosing(records):
            async for record in records:
                while due is not None and due < record.offset:
                    plan.left_out[GONE] += 1
                    due = next(planned, None)
                job = read_job(record) if due == record.offset else None
                if job is None:
                    continue
                due = next(planned, None)
                copy = self._copy(record, job, plan.offsets)
                if await copier.fits(copy):
                    yield copy
                else:
                    plan.left_out[TOO_LARGE] += 1
        plan.left_out[GONE] += 0 if due is None else 1 + sum(1 for _ in planned)

    def _copy(self, record: AnyRecord, job: Job, told: range) -> NewRecord:
        copy = job.model_copy(
            update={
                "job_id": copy_id(self.replay_id, record.offset),
                "replay_of": job.job_id,
                "batch": None,
                "model": self.model or job.model,
                "submitted_at": datetime.now(UTC),
                # It would let a later submit with the same key find the copy.
                "metadata": {
                    name: value for name, value in job.metadata.items() if name != IDEMPOTENCY_KEY
                },
            }
        )
        headers = [each for each in without_redrive(record.headers) if each[0] != RANGE]
        return NewRecord(copy.job_id.encode(), copy.write(), [*headers, write_range(told)])


async def _take(copies: AsyncGenerator[NewRecord, None], most: int) -> list[NewRecord]:
    """Take the next copies: so many at most, and no more than fit into one transaction."""
    taken: list[NewRecord] = []
    size = 0
    while len(taken) < most and size < MOST_BYTES:
        copy = await anext(copies, None)
        if copy is None:
            break
        taken.append(copy)
        size += copy.size
    return taken
