"""The view at a million jobs: how fast it folds, in how much memory, and how fast it answers.

First all records are in the topics and are folded. Then 500 records a second come in, while a
thread of the same process asks, as the gateway does.
"""

import asyncio
import json
import os
import statistics
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import psutil
from aiokafka import AIOKafkaProducer

from consumer.kafka import topics
from consumer.settings import KafkaSettings, load
from producer_tools.local.stack import LocalStack
from producer_tools.view.file import open_reader
from producer_tools.view.folder import Folder
from producer_tools.view.queries import Queries
from producer_tools.view.tables import Shown
from schemas.job import Job
from schemas.status import Result, Source, State, StatusEvent, TimingsMs
from tests.benchmarks.tables import show
from tests.support.timed import timed_maskline

JOBS = 1_000_000
AIM_PER_SECOND = 10_000
AIM_JOB_MS = 5.0
AIM_PAGE_MS = 20.0
STATUS_RUNS = 3
LIVE_PER_SECOND = 500
_QUEUED_SHARE = 0.1
"""The line has begun with all but the last tenth of the jobs."""


@dataclass(frozen=True)
class Answer:
    """The 99th percentiles of how long an answer takes."""

    ms: float
    """By the clock."""
    processor_ms: float
    """Of the thread that asks: other work on the machine lengthens it least."""

    def __str__(self) -> str:
        return f"{self.ms:.2f} ({self.processor_ms:.2f})"


@dataclass(frozen=True)
class Figures:
    """What came of it."""

    jobs: int
    per_second: float
    grown_mib: float
    file_mib: float
    job: Answer
    page: Answer
    status_seconds: float
    """The slowest of some runs of `maskline status`."""


def measure(stack: LocalStack, *, jobs: int = JOBS, live_seconds: float = 20.0) -> Figures:
    """Print the table, and return the figures."""
    with patch.dict(os.environ, _environment(stack)), TemporaryDirectory() as folder:
        figures = asyncio.run(_measure(Path(folder) / "view" / "view.db", jobs, live_seconds))
    show(
        f"The view of {figures.jobs} jobs with two events each",
        ["", "", "aim"],
        [
            ["records folded a second", f"{figures.per_second:.0f}", f"{AIM_PER_SECOND}"],
            ["memory grown over the last 80 %, MiB", f"{figures.grown_mib:.0f}", "flat"],
            ["file, MiB", f"{figures.file_mib:.0f}", ""],
            ["a job by its id, ms, 99th percentile", str(figures.job), f"{AIM_JOB_MS:g}"],
            ["a page of 20 with total, ms", str(figures.page), f"{AIM_PAGE_MS:g}"],
            ["`maskline status`, s, slowest of 3", f"{figures.status_seconds:.2f}", "1.5"],
        ],
        note=f"answers while {LIVE_PER_SECOND} records a second come in;"
        " in brackets the processor time of the thread that asks",
    )
    return figures


async def _measure(path: Path, jobs: int, live_seconds: float) -> Figures:
    settings = load(KafkaSettings)
    await topics.create(settings)
    async with _producer(settings) as producer:
        await _write(producer, settings, jobs)
        async with Folder(settings, path) as folder:
            memory: list[tuple[float, int]] = []
            process = psutil.Process()
            start = time.perf_counter()
            await folder.catch_up(
                lambda done, total: memory.append((done / total, process.memory_info().rss))
            )
            seconds = time.perf_counter() - start
            early = max(rss for share, rss in memory if share <= max(0.2, memory[0][0]))
            late = max(rss for _, rss in memory)
            size = sum(file.stat().st_size for file in path.parent.iterdir())
            following = asyncio.create_task(folder.follow())
            living = asyncio.create_task(_live(producer, settings, jobs))
            job, page = await asyncio.to_thread(_ask, path, jobs, live_seconds)
            for task in (living, following):
                task.cancel()
            await asyncio.gather(living, following, return_exceptions=True)
    status_seconds = await asyncio.to_thread(_status, path, jobs)
    records = jobs + 2 * int(jobs * (1 - _QUEUED_SHARE))
    grown, size_mib = (late - early) / 2**20, size / 2**20
    return Figures(jobs, records / seconds, grown, size_mib, job, page, status_seconds)


def _status(path: Path, jobs: int) -> float:
    """Ask by the command some times, each a process of its own; return the longest, in seconds."""
    environment = {"VIEW_FILE": str(path)}
    timed_maskline("status", "job-0", environment=environment)  # folds what has come last
    runs = [
        timed_maskline("status", f"job-{number}", environment=environment)
        for number in range(0, jobs, jobs // STATUS_RUNS)
    ]
    return max(run.seconds for run in runs)


def _ask(path: Path, jobs: int, seconds: float) -> tuple[Answer, Answer]:
    """Ask for jobs and pages for so long, in a thread."""
    with closing(open_reader(path)) as connection:
        queries = Queries(connection)
        job: list[tuple[float, float]] = []
        page: list[tuple[float, float]] = []
        end = time.perf_counter() + seconds
        number = 0
        while time.perf_counter() < end:
            number = (number + 7919) % jobs
            job.append(_timed(partial(_story, queries, f"job-{number}")))
            states = [Shown.QUEUED] if number % 2 else list(Shown)
            page.append(_timed(partial(queries.page, states, limit=20)))
            time.sleep(0.005)
    return _answer(job), _answer(page)


def _answer(times: Sequence[tuple[float, float]]) -> Answer:
    return Answer(*(statistics.quantiles(each, n=100)[98] for each in zip(*times, strict=True)))


def _story(queries: Queries, job_id: str) -> None:
    """Answer as the gateway does: the job and its place."""
    story = queries.job(job_id)
    if story is None:
        raise RuntimeError(f"{job_id} is missing")
    queries.position(story.row)


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    """Return how long it takes, in milliseconds: by the clock, and of the processor."""
    clock, processor = time.perf_counter(), time.thread_time()
    work()
    return (time.perf_counter() - clock) * 1000, (time.thread_time() - processor) * 1000


async def _write(producer: AIOKafkaProducer, settings: KafkaSettings, jobs: int) -> None:
    """Write the jobs, and two events of each but the last ones."""
    numbers = range(jobs)
    await _send(producer, settings.jobs_topic, ((_id(n), _job(n)) for n in numbers))
    begun = range(int(jobs * (1 - _QUEUED_SHARE)))
    await _send(producer, settings.status_topic, _events(settings, begun))


def _events(settings: KafkaSettings, numbers: range) -> Iterator[tuple[bytes, bytes]]:
    """Write events as a line with some jobs in flight does."""
    templates = {state: _event(settings, state) for state in ("processing", "completed")}
    for number in numbers:
        for template in templates.values():
            yield _id(number), template.replace(b"11223344", str(number).encode())


async def _send(
    producer: AIOKafkaProducer, topic: str, records: Iterator[tuple[bytes, bytes]]
) -> None:
    """Send records in large batches, which is much faster than one at a time."""
    while part := list(islice(records, 800)):
        batch = producer.create_batch()
        for key, value in part:
            if batch.append(key=key, value=value, timestamp=None) is None:
                raise RuntimeError("a batch is too small for its records")
        await (await producer.send_batch(batch, topic, partition=0))


async def _live(producer: AIOKafkaProducer, settings: KafkaSettings, first: int) -> None:
    """Write about 500 records a second, of all kinds."""
    number = first
    event = _event(settings, "processing")
    while True:
        for _ in range(LIVE_PER_SECOND // 100):
            begun = int(first * (1 - _QUEUED_SHARE)) + number - first
            await producer.send(settings.jobs_topic, _job(number), key=_id(number))
            value = event.replace(b"11223344", str(begun).encode())
            await producer.send(settings.status_topic, value, key=_id(begun))
            number += 1
        await asyncio.sleep(0.02)


@asynccontextmanager
async def _producer(settings: KafkaSettings) -> AsyncIterator[AIOKafkaProducer]:
    async with AIOKafkaProducer(
        bootstrap_servers=settings.kafka_bootstrap_servers, max_batch_size=900_000
    ) as producer:
        yield producer


def _id(number: int) -> bytes:
    return f"job-{number}".encode()


def _job(number: int) -> bytes:
    batch = {"batch_id": f"b-{number // 12}", "index": number % 12, "size": 12}
    return _JOB.replace(b"11223344", str(number).encode()).replace(
        b'"batch":null', b'"batch":' + json.dumps(batch).encode() if number % 2 else b'"batch":null'
    )


_JOB = Job(
    job_id="job-11223344",
    user_id="u-42",
    image="s3://mask-uploads/5d8a3c0f6b0e4a7e9d0f9a6b1c2d3e4f",
    image_sha256="5" * 64,
    submitted_at=datetime.now(UTC),
    metadata={"filename": "front.jpg"},
).write()


def _event(settings: KafkaSettings, state: State) -> bytes:
    done = state == "completed"
    return StatusEvent(
        event_id=str(uuid.uuid4()),
        job_id="job-11223344",
        user_id="u-42",
        provider="qwen",
        state=state,
        occurred_at=datetime.now(UTC),
        source=Source(topic=settings.jobs_topic, partition=0, offset=11223344),
        worker="pod-0",
        result=Result(stored_keys={"upper_body_mask": "minio://masks/u-42/1"}, width=3, height=4)
        if done
        else None,
        timings_ms=TimingsMs(queued=12.0, fetch=6.1, segment=212.4, total=260.3) if done else None,
    ).write()


def _environment(stack: LocalStack) -> dict[str, str]:
    token = uuid.uuid4().hex[:8]
    names = ("JOBS_TOPIC", "STATUS_TOPIC", "DEAD_LETTER_TOPIC", "CONTROL_TOPIC", "CONSUMER_GROUP")
    return {**stack.environment(), **{name: f"{name.lower()}.view.{token}" for name in names}}
