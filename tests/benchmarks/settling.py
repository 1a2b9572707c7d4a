"""Settling alone: jobs whose work is nothing, by our transactions and one message at a time.

Both read the same jobs from the same broker, produce one terminal event for each, and commit. Ours
settles runs, exactly once; the other awaits the event and the commit of each message before it
takes the next, at least once.
"""

import asyncio
import os
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from statistics import median
from unittest.mock import patch

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from consumer.job.events import message, terminal_event
from consumer.job.executor import JobExecutor
from consumer.job.outcome import Outcome
from consumer.job.record import Record
from consumer.job.turns import Turn
from consumer.kafka.committed import Kept, read_committed_offset
from consumer.kafka.connection import connection_options
from consumer.kafka.topics import MessageLimits
from consumer.line.clients import lane_clients
from consumer.line.intake import Intake
from consumer.line.lane import Lane
from consumer.line.open_lane import SETTLE_INTERVAL_SECONDS
from consumer.line.settlement import Settlement
from consumer.line.settler import Settler
from consumer.settings import KafkaSettings, load
from producer_tools.local.stack import LocalStack
from schemas.job import Job
from schemas.status import Result, TimingsMs
from tests.benchmarks.lines import make_line, submit
from tests.benchmarks.tables import show

AIM = 4.0
JOBS = 4000
ONE_BY_ONE_JOBS = 400
IN_FLIGHT = (16, 64, 256)


def measure(stack: LocalStack, *, rounds: int, jobs: int = JOBS) -> dict[int, float]:
    """Print the table; by `MAX_IN_FLIGHT`, how many times as fast as one message at a time we are.

    A run is never larger than `MAX_IN_FLIGHT`, so for jobs without work that decides.
    """
    rates: dict[int, list[float]] = {in_flight: [] for in_flight in (1, *IN_FLIGHT)}
    for _ in range(rounds):
        rates[1].append(asyncio.run(_rate(stack, _one_by_one, ONE_BY_ONE_JOBS)))
        for in_flight in IN_FLIGHT:
            work = partial(_in_runs, in_flight=in_flight)
            rates[in_flight].append(asyncio.run(_rate(stack, work, jobs)))
    ratios = {
        in_flight: median(a / b for a, b in zip(found, rates[1], strict=True))
        for in_flight, found in rates.items()
    }
    names = {1: "produce and commit, one message at a time"}
    show(
        f"Settling of jobs without work, {rounds} rounds, medians",
        ["", "jobs/s", "ratio"],
        [
            [
                names.get(in_flight, f"ours, exactly once, MAX_IN_FLIGHT={in_flight}"),
                f"{median(found):.0f}",
                f"{ratios[in_flight]:.1f}",
            ]
            for in_flight, found in rates.items()
        ],
        note=f"aim: {AIM:g} times as fast",
    )
    del ratios[1]
    return ratios


async def _rate(
    stack: LocalStack, settle_all: Callable[[KafkaSettings, int], Awaitable[float]], jobs: int
) -> float:
    line = await make_line(stack)
    async with AIOKafkaProducer(bootstrap_servers=stack.kafka.bootstrap_servers) as producer:
        await submit(producer, line, ["s3://bucket/key"] * jobs)
    with patch.dict(os.environ, {**stack.environment(), **line.environment()}):
        return jobs / await settle_all(load(KafkaSettings), jobs)


async def _in_runs(kafka: KafkaSettings, jobs: int, *, in_flight: int) -> float:
    """Seconds that intake, lane and settlement take for so many jobs."""
    partition = TopicPartition(kafka.jobs_topic, 0)
    async with lane_clients(kafka, partition) as clients:
        jobs_id = (await read_committed_offset(kafka, partition)).topic_id
        settler = Count(clients.settlement, jobs, jobs_id=jobs_id)
        lane = Lane(
            executor=Nothing(),
            settler=settler,
            start=0,
            capacity=in_flight,
            settle_interval=SETTLE_INTERVAL_SECONDS,
        )
        begin = time.perf_counter()
        async with lane:
            await Intake(clients.reader, partition, lane=lane).run(settler.ended)
        return time.perf_counter() - begin


class Nothing(JobExecutor):
    """Jobs that are done as soon as they are begun."""

    def __init__(self) -> None:
        pass

    async def execute(self, record: Record, fetch: Turn, segmentation: Turn) -> Outcome:
        """End it."""
        fetch.pass_on()
        segmentation.pass_on()
        return _outcome(record)

    def forget(self, through: int) -> None:
        """Do nothing: nothing was kept."""


class Count(Settler):
    """Settles, until so many jobs are settled."""

    def __init__(self, settlement: Settlement, jobs: int, *, jobs_id: str) -> None:
        self._settlement = settlement
        self._left = jobs
        self._jobs_id = jobs_id
        self.ended = asyncio.Event()

    async def settle(self, batch: Sequence[Outcome]) -> int:
        """Settle, and count."""
        await self._settlement.settle(batch, kept=Kept(topic_id=self._jobs_id))
        self._left -= len(batch)
        if self._left == 0:
            self.ended.set()
        return len(batch)

    def check(self) -> None:
        """There are no failures."""


def _outcome(record: Record) -> Outcome:
    """What a small job would end with."""
    return Outcome(
        record,
        "completed",
        1,
        job=Job.read(record.value),
        result=Result(
            stored_keys={
                "upper_body_mask": f"minio://mask-assets/masks/u/{uuid.uuid4()}/upper.png",
                "lower_body_mask": f"minio://mask-assets/masks/u/{uuid.uuid4()}/lower.png",
            },
            width=550,
            height=825,
            coverage={"upper_body_mask": 0.1, "lower_body_mask": 0.2},
        ),
        timings=TimingsMs(queued=1.0, fetch=1.0, preprocess=1.0, segment=1.0, masks=1.0, total=5.0),
    )


async def _one_by_one(kafka: KafkaSettings, jobs: int) -> float:
    """Seconds that the loop of most consumers takes for so many jobs."""
    consumer = AIOKafkaConsumer(
        kafka.jobs_topic,
        group_id=kafka.consumer_group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        **connection_options(kafka),
    )
    producer = AIOKafkaProducer(acks="all", **connection_options(kafka))
    async with consumer, producer:
        begin, left = 0.0, jobs
        async for arrived in consumer:
            begin = begin or time.perf_counter()
            record = Record(
                topic=arrived.topic,
                partition=arrived.partition,
                offset=arrived.offset,
                timestamp_ms=arrived.timestamp,
                key=arrived.key,
                value=arrived.value,
                headers=tuple(arrived.headers),
            )
            event = message(
                terminal_event(_outcome(record)),
                record,
                group=kafka.consumer_group,
                limit=MessageLimits().status,
            )
            await producer.send_and_wait(kafka.status_topic, partition=0, **event)
            await consumer.commit()
            left -= 1
            if left == 0:
                break
        return time.perf_counter() - begin
