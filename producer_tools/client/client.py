"""The client of a line: submits jobs, waits for them, follows all of them, cancels them."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from typing import Self

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from consumer.kafka.reader import Reader
from consumer.kafka.rights import rights_of, to_write
from consumer.settings import KafkaSettings, S3Settings
from consumer.telemetry.tracing import NO_TRACING, Trace, Tracing
from producer_tools.client.cancels import write_cancels
from producer_tools.client.following import Followed, follow
from producer_tools.client.line import (
    REACH_SECONDS,
    find_line,
    offsets,
    open_producer,
    open_reader,
    unreachable,
)
from producer_tools.client.new_job import Ended, NewJob, Submitted, headers, write_job
from producer_tools.client.uploads import Uploads
from producer_tools.errors import PhotoError
from schemas.job import ImageReference, Job
from schemas.status import TERMINAL_STATES

UPLOADS_AT_ONCE = 4
_LONGEST_RUN = 500
"""So many jobs whose photos are in S3 already are appended together."""

Jobs = AsyncIterable[NewJob] | Iterable[NewJob]


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A job whose photo is in S3, or can't be read."""

    job: Job
    headers: list[tuple[str, bytes]]
    trace: Trace
    problem: str | None = None


class Client:
    """One line, as a context manager: inside, jobs can be submitted.

    Kafka's settings and S3's are those of the line. `consumer.settings.load` reads them.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        s3: S3Settings,
        *,
        uploads_at_once: int = UPLOADS_AT_ONCE,
        tracing: Tracing = NO_TRACING,
    ) -> None:
        """`uploads_at_once` also bounds how many photos are in memory."""
        self._tracing = tracing
        self._kafka = kafka
        self._at_once = uploads_at_once
        self._uploads = Uploads(s3, at_once=uploads_at_once)
        self._status = TopicPartition(kafka.status_topic, 0)
        self._producer: AIOKafkaProducer
        self._reader: Reader
        self._opened = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Connect to Kafka.

        Raises:
            ServiceError: Kafka can't be reached, or a topic is missing.
        """
        async with AsyncExitStack() as opening:
            await find_line(self._kafka, rights_of("producer", self._kafka))
            self._reader = await opening.enter_async_context(open_reader(self._kafka))
            self._producer = await opening.enter_async_context(open_producer(self._kafka))
            await opening.enter_async_context(self._uploads)
            self._opened = opening.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._opened.aclose()

    async def submit(self, new: NewJob) -> Submitted:
        """Upload the photo and append the job. Return when all replicas have its record.

        Raises:
            InvalidJobError, PhotoError: Nothing was sent.
            ServiceError: Kafka or S3 failed. The record may be in the topic, or come there yet.
        """
        status_offset = await self.status_end()
        return (await self._append([await self._prepare(new)], status_offset))[0]

    async def submit_many(self, jobs: Jobs) -> AsyncGenerator[Submitted, None]:
        """Submit the jobs, and yield each when all replicas have its record.

        The records have the order of the jobs, although uploads overlap. `jobs` is read as the
        uploads go on, so there may be any number of them. If the photo of a job in a batch can't
        be read, the job is sent all the same, so that the batch ends.

        Raises:
            InvalidJobError, PhotoError: This job wasn't sent, nor any after it.
            ServiceError: Kafka or S3 failed. Of the jobs that were not yielded, the next ones may
                be in the topic.
        """
        status_offset = await self.status_end()
        under_way: deque[asyncio.Task[_Prepared]] = deque()
        try:
            async for new in _each(jobs):
                under_way.append(asyncio.create_task(self._prepare(new), name="client.prepare"))
                in_s3 = isinstance(new.photo, ImageReference)
                if len(under_way) >= (_LONGEST_RUN if in_s3 else self._at_once):
                    for submitted in await self._append(await _ready(under_way), status_offset):
                        yield submitted
            while under_way:
                for submitted in await self._append(await _ready(under_way), status_offset):
                    yield submitted
        finally:
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    async def status_end(self) -> int:
        """Return the end of the status topic. To see all events from now on, follow from there.

        Raises:
            ServiceError: Kafka doesn't answer.
        """
        return (await offsets(self._kafka, self._reader, self._status)).stop

    async def wait(self, submitted: Iterable[Submitted]) -> AsyncGenerator[Ended, None]:
        """Yield the end of each job, in the order in which they end.

        Raises:
            ServiceError: Kafka doesn't answer any more.
        """
        waiting = {each.offset: each for each in submitted}
        start = min((each.status_offset for each in waiting.values()), default=0)
        events = self.follow(from_offset=start)
        async with aclosing(events):
            while waiting:
                followed = await anext(events)
                if followed.event.state not in TERMINAL_STATES:
                    continue
                # Terminal events come in the order of their records: an earlier one has none.
                ended = followed.event.source.offset
                for offset in sorted(offset for offset in waiting if offset <= ended):
                    event = followed.event if offset == ended else None
                    yield Ended(submitted=waiting.pop(offset), event=event)

    def follow(
        self, *, from_offset: int | None = None, group: str | None = None
    ) -> AsyncGenerator[Followed, None]:
        """Yield each event of the line once. See `producer_tools.client.following.follow`."""
        return follow(self._kafka, from_offset=from_offset, group=group)

    async def cancel(
        self, job_ids: Sequence[str], *, reason: str | None = None, ahead: int = 0
    ) -> int:
        """Ask the line to cancel jobs. See `producer_tools.client.cancels.write_cancels`."""
        return await write_cancels(self._kafka, job_ids, reason=reason, ahead=ahead)

    async def _prepare(self, new: NewJob) -> _Prepared:
        """Check the job, then upload its photo."""
        trace = self._tracing.submission(self._kafka.jobs_topic, parent=new.traceparent)
        trace.note(mask__job_id=new.job_id)
        try:
            with trace.current():
                return await self._upload(new, trace)
        except BaseException as error:
            trace.fail(type(error).__name__)
            trace.end()
            raise

    async def _upload(self, new: NewJob, trace: Trace) -> _Prepared:
        sent_headers = headers(new, span=trace.traceparent)
        if isinstance(new.photo, ImageReference):
            return _Prepared(write_job(new, new.photo), sent_headers, trace)
        reference = self._uploads.new_reference()
        job = write_job(new, reference)
        try:
            with trace.step("upload"):
                sha256 = await self._uploads.put(new.photo, reference)
        except PhotoError as error:
            if new.batch is None:
                raise
            return _Prepared(job, sent_headers, trace, problem=str(error))
        return _Prepared(job.model_copy(update={"image_sha256": sha256}), sent_headers, trace)

    async def _append(self, run: Sequence[_Prepared], status_offset: int) -> list[Submitted]:
        """Append the jobs in this order, and wait for all replicas."""
        topic = self._kafka.jobs_topic
        try:
            async with asyncio.timeout(2 * REACH_SECONDS):
                sent = [
                    await self._producer.send(
                        topic, each.job.write(), key=each.job.job_id.encode(), headers=each.headers
                    )
                    for each in run
                ]
                records = [await future for future in sent]
        except (KafkaError, TimeoutError) as error:
            raise unreachable(self._kafka, error, *to_write(topic)) from error
        for each, record in zip(run, records, strict=True):
            each.trace.note(messaging__kafka__offset=record.offset)
            each.trace.end()
        return [
            Submitted(
                job=each.job,
                offset=record.offset,
                status_offset=status_offset,
                problem=each.problem,
            )
            for each, record in zip(run, records, strict=True)
        ]


async def _ready(under_way: deque[asyncio.Task[_Prepared]]) -> list[_Prepared]:
    """Wait for the first job, and return it with those behind it that are ready, too."""
    run = [await under_way[0]]
    under_way.popleft()
    while under_way and under_way[0].done() and not under_way[0].exception():
        run.append(under_way.popleft().result())
    return run


async def _each(jobs: Jobs) -> AsyncIterator[NewJob]:
    if isinstance(jobs, AsyncIterable):
        async for new in jobs:
            yield new
    else:
        for new in jobs:
            yield new
