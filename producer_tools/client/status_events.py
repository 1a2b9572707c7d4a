"""Follows the status topic."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import TopicPartition

from consumer.kafka.reader import Reader
from schemas.errors import InvalidMessage
from schemas.status import StatusEvent

NextEvents = Callable[[], Awaitable[list[StatusEvent]]]
"""Returns the events that have arrived since its last call."""

_POLL_MS = 200


@asynccontextmanager
async def status_reader(connection: Mapping[str, Any], *, topic: str) -> AsyncIterator[NextEvents]:
    """Connect to Kafka, and yield a function that returns the events since its last call.

    The first call returns the events since the connection was made. A call waits for a fifth of a
    second at most, and may return an empty list.

    Args:
        connection: Keyword arguments for every aiokafka client.
        topic: The status topic.
    """
    partition = TopicPartition(topic, 0)
    consumer = Reader(isolation_level="read_committed", enable_auto_commit=False, **connection)
    async with consumer:
        consumer.assign([partition])
        await consumer.seek_to_end(partition)

        async def next_events() -> list[StatusEvent]:
            batches = await consumer.getmany(timeout_ms=_POLL_MS)
            records = batches.get(partition, [])
            return [event for record in records if (event := _event(record.value))]

        yield next_events


def _event(value: bytes | None) -> StatusEvent | None:
    """Read an event. Return None for a record that isn't one."""
    try:
        return StatusEvent.read(value)
    except InvalidMessage:
        return None
