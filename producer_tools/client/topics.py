"""The line's topics from outside: jobs in, status events out."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from schemas.errors import InvalidMessage
from schemas.job import Job
from schemas.status import StatusEvent

SendJob = Callable[[Job], Awaitable[int]]
NextEvents = Callable[[], Awaitable[list[StatusEvent]]]

_POLL_MS = 200


@asynccontextmanager
async def submitting(connection: Mapping[str, Any], *, topic: str) -> AsyncIterator[SendJob]:
    """Inside, a function that appends a job to the jobs topic and gives its record's offset.

    It returns when all replicas have the record; raises aiokafka's KafkaError.

    Args:
        connection: Keyword arguments that every aiokafka client takes.
        topic: The jobs topic.
    """
    async with AIOKafkaProducer(enable_idempotence=True, **connection) as producer:

        async def send(job: Job) -> int:
            record = await producer.send_and_wait(topic, key=job.job_id.encode(), value=job.write())
            offset: int = record.offset
            return offset

        yield send


@asynccontextmanager
async def following(connection: Mapping[str, Any], *, topic: str) -> AsyncIterator[NextEvents]:
    """Inside, a function that gives the events since the entering that it hasn't given yet.

    It waits a fifth of a second for the first of them, and may give none.

    Args:
        connection: Keyword arguments that every aiokafka client takes.
        topic: The status topic.
    """
    partition = TopicPartition(topic, 0)
    consumer = AIOKafkaConsumer(
        isolation_level="read_committed", enable_auto_commit=False, **connection
    )
    async with consumer:
        consumer.assign([partition])
        await consumer.seek_to_end(partition)

        async def next_events() -> list[StatusEvent]:
            batches = await consumer.getmany(timeout_ms=_POLL_MS)
            records = batches.get(partition, [])
            return [event for record in records if (event := _event(record.value))]

        yield next_events


def _event(value: bytes | None) -> StatusEvent | None:
    """Read an event; what isn't one is nobody's to judge here."""
    try:
        return StatusEvent.read(value)
    except InvalidMessage:
        return None
