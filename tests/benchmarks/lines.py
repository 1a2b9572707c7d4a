"""A line on the local stack for a benchmark: its topics, its consumer, and jobs for it."""

import asyncio
import json
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from producer_tools.local.stack import UPLOAD_BUCKET, LocalStack
from tests.support.consumer_process import ConsumerProcess
from tests.support.line_names import LineNames, create_topics
from tests.support.topics import TERMINAL_STATES, read_topic

_POLL_SECONDS = 0.05


async def make_line(stack: LocalStack) -> LineNames:
    """Make a line's topics; every run has its own."""
    line = LineNames.fresh()
    await create_topics({**stack.environment(), **line.environment()})
    return line


@contextmanager
def running(
    stack: LocalStack, line: LineNames, *options: str, module: str = "consumer", **settings: str
) -> Iterator[ConsumerProcess]:
    """Run a module as the line's consumer; its log is shown where the benchmark fails."""
    environment = {**stack.environment(), **line.environment(), **settings}
    with tempfile.TemporaryDirectory(prefix="maskline-") as folder:
        consumer = ConsumerProcess(
            module, *options, folder=Path(folder), environment=environment, module=(module,)
        )
        try:
            yield consumer
        except BaseException:
            print(consumer.log_tail(), file=sys.stderr)
            raise
        finally:
            consumer.stop(seconds=30)


async def open_lane(consumer: ConsumerProcess) -> None:
    """Wait until the consumer's lane is open."""
    await consumer.until_assigned()
    await consumer.until_ready()


def upload(stack: LocalStack, photos: Sequence[bytes]) -> list[str]:
    """Put the photos into S3; give the URI of each."""
    client, folder = stack.s3.client(), uuid.uuid4().hex[:8]
    keys = [f"{folder}/{index:04}.jpg" for index in range(len(photos))]
    for key, photo in zip(keys, photos, strict=True):
        client.put_object(Bucket=UPLOAD_BUCKET, Key=key, Body=photo)
    return [f"s3://{UPLOAD_BUCKET}/{key}" for key in keys]


async def submit(producer: AIOKafkaProducer, line: LineNames, images: Sequence[str]) -> int:
    """Submit a job for each image, in order; give the jobs topic's end after them."""
    deliveries = []
    for image in images:
        job_id = uuid.uuid4().hex
        job = {"job_id": job_id, "user_id": "benchmark", "image": image}
        value = json.dumps(job).encode()
        deliveries.append(await producer.send(line.jobs, key=job_id.encode(), value=value))
    return int((await asyncio.gather(*deliveries))[-1].offset) + 1


async def seconds_until_settled(
    stack: LocalStack, line: LineNames, images: Sequence[str], *, limit: float = 900.0
) -> float:
    """Submit the jobs; give the seconds until the group has committed the last of them."""
    partition = TopicPartition(line.jobs, 0)
    # Of the group's name, but no member of it: it only reads what the group has committed.
    onlooker = AIOKafkaConsumer(
        bootstrap_servers=stack.kafka.bootstrap_servers,
        group_id=line.group,
        enable_auto_commit=False,
    )
    producer = AIOKafkaProducer(bootstrap_servers=stack.kafka.bootstrap_servers)
    async with onlooker, producer:
        onlooker.assign([partition])
        await producer.partitions_for(line.jobs)
        begin = time.perf_counter()
        end = await submit(producer, line, images)
        while (await onlooker.committed(partition) or 0) < end:
            if time.perf_counter() - begin > limit:
                raise TimeoutError(f"{line.group} has not settled its jobs within {limit:g} s")
            await asyncio.sleep(_POLL_SECONDS)
        return time.perf_counter() - begin


async def terminal_events(stack: LocalStack, line: LineNames) -> list[dict[str, Any]]:
    """Every terminal event that a read_committed subscriber sees."""
    records = await read_topic(stack.kafka.bootstrap_servers, line.status)
    return [event for one in records if (event := one.json())["state"] in TERMINAL_STATES]


def check_exactly_once(events: Sequence[Mapping[str, Any]], *, jobs: int) -> None:
    """Raise unless there is one completed event for each of so many jobs, in offset order."""
    offsets = [event["source"]["offset"] for event in events]
    if offsets != list(range(jobs)):
        raise AssertionError(f"not exactly once, or not in order: {offsets}")
    if wrong := [event for event in events if event["state"] != "completed"]:
        raise AssertionError(f"{len(wrong)} jobs did not complete, the first: {wrong[0]}")
