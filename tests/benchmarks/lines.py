"""A line on the local stack for a benchmark: its topics, its consumer, and jobs for it."""

import asyncio
import json
import os
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from producer_tools.local import ports
from producer_tools.local.child import Child
from producer_tools.local.stack import UPLOAD_BUCKET, LocalStack

START_SECONDS = 120.0
_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Line:
    """The topics and the group of one line, and where its consumer tells of itself."""

    name: str
    health_port: int = 0

    @property
    def jobs(self) -> str:
        """The jobs topic."""
        return f"{self.name}.jobs"

    @property
    def status(self) -> str:
        """The status topic."""
        return f"{self.name}.status"

    def environment(self, stack: LocalStack) -> dict[str, str]:
        """What a consumer of this line has in its environment, besides our own."""
        return {
            **stack.environment(),
            "JOBS_TOPIC": self.jobs,
            "STATUS_TOPIC": self.status,
            "DEAD_LETTER_TOPIC": f"{self.name}.dlq",
            "CONTROL_TOPIC": f"{self.name}.control",
            "CONSUMER_GROUP": self.name,
            "HOST": ports.HOST,
            "HEALTH_PORT": str(self.health_port),
        }


async def make_line(stack: LocalStack, name: str) -> Line:
    """Make a line's topics; every run has its own."""
    line = Line(f"{name}-{uuid.uuid4().hex[:6]}", ports.choose("the consumer", setting=""))
    admin = AIOKafkaAdminClient(bootstrap_servers=stack.kafka.bootstrap_servers)
    await admin.start()
    try:
        topics = [line.jobs, line.status, f"{line.name}.dlq", f"{line.name}.control"]
        await admin.create_topics([NewTopic(topic, 1, 1) for topic in topics])
    finally:
        await admin.close()
    return line


@contextmanager
def running(
    name: str, module: str, *arguments: str, environment: Mapping[str, str]
) -> Iterator[Child]:
    """Run a module of Python as a program of its own; its log is shown where it fails."""
    with tempfile.TemporaryDirectory(prefix="maskline-") as folder:
        child = Child(
            name,
            [sys.executable, "-m", module, *arguments],
            log=Path(folder) / f"{name}.log",
            env={**os.environ, **environment},
        )
        try:
            yield child
        except BaseException:
            print(child.log_tail(), file=sys.stderr)
            raise
        finally:
            child.stop(seconds=30)


@contextmanager
def our_consumer(stack: LocalStack, line: Line, **settings: str) -> Iterator[Child]:
    """`maskline consume` on this line, its lane open."""
    environment = {**line.environment(stack), **settings}
    with running("consumer", "consumer", environment=environment) as child:
        ready(child, line)
        yield child


def ready(consumer: Child, line: Line) -> None:
    """Wait until the consumer owns the line's lane."""
    consumer.wait_until(lambda: _owns_the_lane(line), seconds=START_SECONDS)


def _owns_the_lane(line: Line) -> bool:
    try:
        return bool(stats(line)["assigned"]) and ask(line, "/readyz").status_code == 200
    except httpx.TransportError:
        return False


def ask(line: Line, path: str) -> httpx.Response:
    """Ask the line's consumer over HTTP."""
    return httpx.get(f"http://{ports.HOST}:{line.health_port}{path}", timeout=30)


def stats(line: Line) -> dict[str, Any]:
    """`/stats` of the line's consumer."""
    found: dict[str, Any] = ask(line, "/stats").json()
    return found


def upload(stack: LocalStack, photos: Sequence[bytes]) -> list[str]:
    """Put the photos into S3; give the URI of each."""
    client, folder = stack.s3.client(), uuid.uuid4().hex[:8]
    keys = [f"{folder}/{index:04}.jpg" for index in range(len(photos))]
    for key, photo in zip(keys, photos, strict=True):
        client.put_object(Bucket=UPLOAD_BUCKET, Key=key, Body=photo)
    return [f"s3://{UPLOAD_BUCKET}/{key}" for key in keys]


async def submit(stack: LocalStack, line: Line, images: Sequence[str]) -> int:
    """Produce a job for each image, in order; give the jobs topic's end after them."""
    async with AIOKafkaProducer(bootstrap_servers=stack.kafka.bootstrap_servers) as producer:
        return await _produce(producer, line, images)


async def _produce(producer: AIOKafkaProducer, line: Line, images: Sequence[str]) -> int:
    jobs = [(uuid.uuid4().hex, image) for image in images]
    deliveries = [
        await producer.send(line.jobs, key=job_id.encode(), value=_job(job_id, image))
        for job_id, image in jobs
    ]
    return int((await asyncio.gather(*deliveries))[-1].offset) + 1


def _job(job_id: str, image: str) -> bytes:
    return json.dumps({"job_id": job_id, "user_id": "benchmark", "image": image}).encode()


async def seconds_until_settled(
    stack: LocalStack, line: Line, images: Sequence[str], *, limit: float = 900.0
) -> float:
    """Submit the jobs; give the seconds until the group has committed the last of them."""
    partition = TopicPartition(line.jobs, 0)
    # Of the group's name, but no member of it: it only reads what the group has committed.
    onlooker = AIOKafkaConsumer(
        bootstrap_servers=stack.kafka.bootstrap_servers,
        group_id=line.name,
        enable_auto_commit=False,
    )
    producer = AIOKafkaProducer(bootstrap_servers=stack.kafka.bootstrap_servers)
    async with onlooker, producer:
        onlooker.assign([partition])
        await producer.partitions_for(line.jobs)
        begin = time.perf_counter()
        end = await _produce(producer, line, images)
        while (await onlooker.committed(partition) or 0) < end:
            if time.perf_counter() - begin > limit:
                raise TimeoutError(f"{line.name} has not settled its jobs within {limit:g} s")
            await asyncio.sleep(_POLL_SECONDS)
        return time.perf_counter() - begin


async def terminal_events(stack: LocalStack, line: Line) -> list[dict[str, Any]]:
    """Every terminal event that a read_committed subscriber sees."""
    partition = TopicPartition(line.status, 0)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=stack.kafka.bootstrap_servers,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
    )
    events: list[dict[str, Any]] = []
    async with consumer:
        consumer.assign([partition])
        end = (await consumer.end_offsets([partition]))[partition]
        while await consumer.position(partition) < end:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                events += (json.loads(record.value) for record in records)
    return [event for event in events if event["state"] not in ("processing", "retrying")]


def check_exactly_once(events: Sequence[Mapping[str, Any]], *, jobs: int) -> None:
    """Raise unless there is one completed event for each of so many jobs, in offset order."""
    offsets = [event["source"]["offset"] for event in events]
    if offsets != list(range(jobs)):
        raise AssertionError(f"not exactly once, or not in order: {offsets}")
    if wrong := [event for event in events if event["state"] != "completed"]:
        raise AssertionError(f"{len(wrong)} jobs did not complete, the first: {wrong[0]}")
