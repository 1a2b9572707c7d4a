"""Replays: how soon a run starts however long the history is, and what live jobs feel of it.

First a run over 1,000 records at the far end of a status topic of millions of events. Then live
jobs at a quarter of the line's capacity: alone, beside a run of one niced worker, and beside copies
of which one at a time waits.
"""

import asyncio
import os
import statistics
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from aiokafka import AIOKafkaProducer

from producer_tools.local.stack import LocalStack
from schemas.status import Source, StatusEvent, cloud_event_headers
from tests.benchmarks.lines import make_line, open_lane, running, submit, upload
from tests.benchmarks.photos import photos
from tests.benchmarks.tables import show
from tests.support.consumer_process import ConsumerProcess, until
from tests.support.line_names import LineNames
from tests.support.logs import logged_at
from tests.support.models import write_trivial_body_model
from tests.support.topics import TERMINAL_STATES, following, read_topic

EVENTS = 2_000_000
AIM_START_SECONDS = 10.0
AIM_RATIO = 2.0
_RECORDS = 1_000
_KILLED_AFTER = 20
_LIVE = 40
_HISTORY = 240
_CAPACITY = 40
_BATCH_BYTES = 512 * 1024


def measure(stack: LocalStack, *, events: int = EVENTS) -> None:
    """Print both tables; raise where a job is lost, or ends out of order."""
    with tempfile.TemporaryDirectory() as folder:
        write_trivial_body_model(Path(folder))
        begun, again = asyncio.run(_far_end(stack, events, Path(folder)))
    show(
        f"A run over {_RECORDS} records at the far end of {events} status events",
        ["", "seconds", "aim"],
        [
            ["from the process's start to its first job", f"{begun:.1f}", f"{AIM_START_SECONDS:g}"],
            ["the same, killed and started again", f"{again:.1f}", f"{AIM_START_SECONDS:g}"],
        ],
    )
    capacity, alone, run, copies = asyncio.run(_beside(stack))
    show(
        f"Live jobs at a quarter of {capacity:.1f} photos a second, {_LIVE} of them",
        ["from submit to terminal event, ms", "median", "most", "of alone", "aim"],
        [
            _row("alone", alone, alone),
            _row("beside a run: 1 worker, 1 thread, nice 10", run, alone),
            _row("beside copies, --max-waiting 1", copies, alone),
        ],
    )


def _row(name: str, found: Sequence[float], alone: Sequence[float]) -> list[str]:
    middle = statistics.median(found)
    ratio = middle / statistics.median(alone)
    return [
        name,
        f"{1000 * middle:.0f}",
        f"{1000 * max(found):.0f}",
        f"{ratio:.2f}",
        f"{AIM_RATIO:g}",
    ]


async def _far_end(stack: LocalStack, events: int, models: Path) -> tuple[float, float]:
    line = await make_line(stack)
    images = upload(stack, photos(None, 4))
    async with AIOKafkaProducer(bootstrap_servers=stack.kafka.bootstrap_servers) as producer:
        await _fill(producer, line, events)
        await submit(producer, line, [images[n % 4] for n in range(_RECORDS)])
    trivial = {"MODEL_FOLDER": str(models), "QWEN_MODEL_PATH": "trivial.onnx"}
    found = []
    for _ in range(2):
        begin = time.time()
        with _run(stack, line, _RECORDS, **trivial) as run:
            found.append(await _first_job(run) - begin)
            await run.until_logged("segmentation.started", times=_KILLED_AFTER)
            run.kill()
    return found[0], found[1]


async def _first_job(run: ConsumerProcess) -> float:
    """Wait until the run's first job has begun; give when it did, in Unix seconds."""
    await run.until_logged("fetch.started")
    return logged_at(run.entries("fetch.started")[0])


async def _fill(producer: AIOKafkaProducer, line: LineNames, events: int) -> None:
    """Write so many events of the line itself."""
    event = StatusEvent(
        event_id=str(uuid.uuid4()),
        job_id="job",
        user_id="u",
        state="processing",
        occurred_at=datetime.now(UTC),
        source=Source(topic=line.jobs, partition=0, offset=0),
        worker="w",
    )
    value, headers = event.write(), cloud_event_headers(event, line.group)
    written = 0
    while written < events:
        batch = producer.create_batch()
        while written < events and batch.size() < _BATCH_BYTES:
            if batch.append(key=b"job", value=value, timestamp=None, headers=headers) is None:
                break
            written += 1
        await (await producer.send_batch(batch, line.status, partition=0))


def _run(
    stack: LocalStack, line: LineNames, end: int, **settings: str
) -> AbstractContextManager[ConsumerProcess]:
    return running(
        stack,
        line,
        "--replay-id",
        "r",
        "--from-offset",
        "0",
        "--to-offset",
        str(end),
        LOG_LEVEL="DEBUG",
        **settings,
    )


async def _beside(
    stack: LocalStack,
) -> tuple[float, Sequence[float], Sequence[float], Sequence[float]]:
    line = await make_line(stack)
    images = upload(stack, photos(None, _CAPACITY))
    server = stack.kafka.bootstrap_servers
    async with AIOKafkaProducer(bootstrap_servers=server) as producer:
        with running(stack, line) as consumer:
            await open_lane(consumer)
            capacity = await _capacity(producer, stack, line, images)
            history = await submit(producer, line, (images * 6)[:_HISTORY])
            await _settled(stack, line, history)
            pace = 4 / capacity
            alone = await _live(producer, stack, line, images, pace)
            with _run(stack, line, history, WORKER_COUNT="1", ONNX_THREADS="1") as run:
                os.setpriority(os.PRIO_PROCESS, run.pid, 10)
                await _first_job(run)
                beside_run = await _live(producer, stack, line, images, pace)
                if not run.running:
                    raise AssertionError("the run had ended before the live jobs")
            async with _copying(stack, line, history):
                beside_copies = await _live(producer, stack, line, images, pace)
    await _check(stack, line)
    return capacity, alone, beside_run, beside_copies


async def _capacity(
    producer: AIOKafkaProducer, stack: LocalStack, line: LineNames, images: Sequence[str]
) -> float:
    begin = time.perf_counter()
    end = await submit(producer, line, images)
    await _settled(stack, line, end)
    return len(images) / (time.perf_counter() - begin)


async def _settled(stack: LocalStack, line: LineNames, end: int) -> None:
    """Wait until the record before this offset has ended on the line."""
    async with following(stack.kafka.bootstrap_servers, line.status) as records:
        async for record in records:
            event = record.json()
            if event["state"] in TERMINAL_STATES and event["source"]["offset"] == end - 1:
                return


async def _live(
    producer: AIOKafkaProducer,
    stack: LocalStack,
    line: LineNames,
    images: Sequence[str],
    pace: float,
) -> Sequence[float]:
    """Submit a job every `pace` seconds; give the seconds that each took for a subscriber."""
    sent: dict[int, float] = {}
    took: list[float] = []

    async def follow() -> None:
        async with following(stack.kafka.bootstrap_servers, line.status, start=None) as records:
            ready.set()
            async for record in records:
                event = record.json()
                offset = event["source"]["offset"]
                line_ends = event["state"] in TERMINAL_STATES and event["replay_id"] is None
                if line_ends and offset in sent:
                    took.append(time.perf_counter() - sent[offset])
                    if len(took) == _LIVE:
                        return

    ready = asyncio.Event()
    subscriber = asyncio.create_task(follow())
    await ready.wait()
    for number in range(_LIVE):
        due = time.perf_counter() + pace
        begin = time.perf_counter()
        sent[await submit(producer, line, [images[number % len(images)]]) - 1] = begin
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
    async with asyncio.timeout(300):
        await subscriber
    return took


@asynccontextmanager
async def _copying(stack: LocalStack, line: LineNames, history: int) -> AsyncIterator[None]:
    """Inside, copies of history are made, one at a time."""
    with tempfile.TemporaryDirectory() as folder:
        copier = ConsumerProcess(
            "copier",
            "replay",
            "--from-offset",
            "0",
            "--to-offset",
            str(history),
            "--replay-id",
            "c",
            "--max-waiting",
            "1",
            "--execute",
            folder=Path(folder),
            environment={**stack.environment(), **line.environment()},
            module=("producer_tools",),
        )
        try:
            await until(lambda: _has_copy(stack, line), "the first copy")
            yield
            if not copier.running:
                raise AssertionError(f"the copies had ended before:\n{copier.log_tail()}")
        finally:
            copier.kill()


async def _has_copy(stack: LocalStack, line: LineNames) -> bool:
    records = await read_topic(stack.kafka.bootstrap_servers, line.jobs)
    return any((record.key or b"").startswith(b"c:") for record in records)


async def _check(stack: LocalStack, line: LineNames) -> None:
    """Raise where the line has lost a job, or ended one twice or out of order."""
    events = [each.json() for each in await read_topic(stack.kafka.bootstrap_servers, line.status)]
    ends = [event for event in events if event["state"] in TERMINAL_STATES]
    for name in (None, "r"):
        offsets = [event["source"]["offset"] for event in ends if event["replay_id"] == name]
        if offsets != sorted(set(offsets)):
            raise AssertionError(f"the ends of {name or 'the line'} are out of order: {offsets}")
    jobs = {record.offset for record in await read_topic(stack.kafka.bootstrap_servers, line.jobs)}
    ended = {event["source"]["offset"] for event in ends if event["replay_id"] is None}
    if lost := {offset for offset in jobs if offset < max(ended)} - ended:
        raise AssertionError(f"these have not ended: {sorted(lost)}")
