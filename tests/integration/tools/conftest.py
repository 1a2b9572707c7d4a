"""A line for each test, written to as the consumer writes: topics, jobs and status events."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import ConsumerRecord

from consumer.kafka import topics
from consumer.settings import KafkaSettings, S3Settings, load
from producer_tools.local.stack import LocalStack
from schemas.job import Batch
from schemas.status import ErrorInfo, Result, Source, State, StatusEvent
from tests.support.bench import Bench
from tests.support.line_names import LineNames
from tests.support.models import write_light_catalog

FAILED = ErrorInfo(code="invalid_image", message="not an image", stage="decode", retryable=False)
BUSY = ErrorInfo(code="storage_unavailable", message="S3 is down", stage="fetch", retryable=True)
RESULT = Result(stored_keys={"upper_body_mask": "minio://masks/a"}, width=2, height=3)
_ERRORS = {"failed": FAILED, "retrying": BUSY}


@dataclass
class ToolLine:
    """A line with its topics, and a producer that writes what a test orders."""

    kafka: KafkaSettings
    s3: S3Settings
    stack: LocalStack
    producer: AIOKafkaProducer

    async def write(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: list[tuple[str, bytes]] | None = None,
        at: datetime | None = None,
    ) -> int:
        """Write a record, and return its offset."""
        timestamp_ms = None if at is None else int(at.timestamp() * 1000)
        written = await self.producer.send_and_wait(
            topic, value, key=key, headers=headers or [], timestamp_ms=timestamp_ms
        )
        offset: int = written.offset
        return offset

    async def job(self, job_id: str, **fields: Any) -> int:
        """Write a job, and return its offset."""
        return await self.write(self.kafka.jobs_topic, job_json(job_id, **fields), key=_key(job_id))

    async def event(self, state: State, offset: int, job_id: str = "a", **fields: Any) -> int:
        """Write an event of the record at `offset`, and return the event's own offset."""
        headers = fields.pop("headers", [])
        value = event(state, offset, job_id, topic=self.kafka.jobs_topic, **fields).write()
        return await self.write(
            self.kafka.status_topic, value, key=_key(job_id), headers=list(headers)
        )

    async def commit(self, offset: int) -> None:
        """Let the line's group have settled all records before this offset."""
        partition = TopicPartition(self.kafka.jobs_topic, 0)
        committer = AIOKafkaConsumer(
            bootstrap_servers=self.kafka.kafka_bootstrap_servers,
            group_id=self.kafka.consumer_group,
            enable_auto_commit=False,
        )
        async with committer:
            committer.assign([partition])
            await committer.commit({partition: offset})

    async def delete_topics(self, *only: str) -> None:
        """Delete these topics of the line, or all, and wait until they are gone."""
        names = set(only) or {
            self.kafka.jobs_topic,
            self.kafka.status_topic,
            self.kafka.control_topic,
            self.kafka.dead_letter_topic,
        }
        admin = AIOKafkaAdminClient(bootstrap_servers=self.kafka.kafka_bootstrap_servers)
        await admin.start()
        try:
            await admin.delete_topics(list(names))
            while names & {topic["topic"] for topic in await admin.describe_topics()}:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        finally:
            await admin.close()

    async def records(self, topic: str) -> list["ConsumerRecord[bytes, bytes]"]:
        """Read all committed records of a topic."""
        partition = TopicPartition(topic, 0)
        found: list[ConsumerRecord[bytes, bytes]] = []
        reader = AIOKafkaConsumer(
            bootstrap_servers=self.kafka.kafka_bootstrap_servers,
            isolation_level="read_committed",
            enable_auto_commit=False,
        )
        async with reader:
            end = (await reader.end_offsets([partition]))[partition]
            reader.assign([partition])
            reader.seek(partition, 0)
            while await reader.position(partition) < end:
                found += (await reader.getmany(timeout_ms=200)).get(partition, [])
        return found


def job_json(job_id: str, **fields: Any) -> bytes:
    """Return a job as JSON, whether or not it fits the schema."""
    job = {"job_id": job_id, "user_id": "u", "image": "s3://b/k", **fields}
    return json.dumps(job).encode()


def event(
    state: State, offset: int, job_id: str | None, *, topic: str, **fields: Any
) -> StatusEvent:
    """Return an event of the record at `offset`."""
    batch = fields.pop("batch", None)
    return StatusEvent(
        **{
            "event_id": str(uuid.uuid4()),
            "job_id": job_id,
            "user_id": "u",
            "provider": "qwen",
            "state": state,
            "occurred_at": datetime.now(UTC),
            "source": Source(topic=topic, partition=0, offset=offset),
            "worker": "w",
            "batch": None if batch is None else Batch(**batch),
            "error": _ERRORS.get(state),
            "result": RESULT if state == "completed" else None,
            **fields,
        }
    )


def _key(job_id: str | None) -> bytes | None:
    return None if job_id is None else job_id.encode()


@pytest.fixture
async def tool_line(
    stack: LocalStack, line: LineNames, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[ToolLine]:
    """A line of its own, with the environment set to it."""
    for name, value in {**stack.environment(), **line.environment()}.items():
        monkeypatch.setenv(name, value)
    kafka = load(KafkaSettings)
    await topics.create(kafka)
    producer = AIOKafkaProducer(
        bootstrap_servers=kafka.kafka_bootstrap_servers, max_request_size=2 * 1024 * 1024
    )
    async with producer:
        yield ToolLine(kafka, load(S3Settings), stack, producer)


@pytest.fixture
def bench(tool_line: ToolLine, line: LineNames, tmp_path: Path) -> Iterator[Bench]:
    """Real consumers of the test's line."""
    write_light_catalog(tmp_path)
    bench = Bench(tool_line.stack, line, tmp_path)
    yield bench
    bench.stop()
