"""Topics of one partition, read as bytes; no code of the product is used."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

Header = tuple[str, bytes | None]

TERMINAL_STATES = ("completed", "failed", "cancelled")
READ_SECONDS = 120.0
ANSWER_MS = 10_000
"""One broker of several may be frozen: then the others are asked."""
MOST_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class TopicRecord:
    """A record of a topic, byte for byte; a bomb's value is left out."""

    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...] = ()
    unreadable: bool = False
    """Whether aiokafka can't read it, so that its offset alone is known."""

    def json(self) -> dict[str, Any]:
        """The value as a JSON object; an empty one where it is none."""
        try:
            value = json.loads(self.value or b"")
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}


@asynccontextmanager
async def reading(
    bootstrap: str, topic: str, *, isolation: str = "read_committed"
) -> AsyncIterator[AIOKafkaConsumer]:
    """Inside, a consumer of no group at the beginning of the topic."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        isolation_level=isolation,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        request_timeout_ms=ANSWER_MS,
    )
    try:
        await consumer.start()
        consumer.assign([TopicPartition(topic, 0)])
        yield consumer
    finally:
        await consumer.stop()


@asynccontextmanager
async def following(
    bootstrap: str, topic: str, *, start: int | None = 0, isolation: str = "read_committed"
) -> AsyncIterator[AsyncIterator[TopicRecord]]:
    """Inside, the records from offset `start` on, for ever; None starts at the topic's end."""
    partition = TopicPartition(topic, 0)
    async with reading(bootstrap, topic, isolation=isolation) as consumer:
        if start is None:
            await consumer.seek_to_end(partition)
        else:
            consumer.seek(partition, start)

        async def records() -> AsyncIterator[TopicRecord]:
            while True:
                for record in await _next(consumer, partition):
                    yield record

        yield records()


async def read_topic(
    bootstrap: str, topic: str, *, start: int = 0, isolation: str = "read_committed"
) -> tuple[TopicRecord, ...]:
    """Read a topic from offset `start`, or its beginning, to its present end.

    Of a record that aiokafka can't read (the name of a header is no UTF-8) the offset is given.
    """
    partition = TopicPartition(topic, 0)
    records: list[TopicRecord] = []
    at_once: int | None = None
    async with (
        asyncio.timeout(READ_SECONDS),
        reading(bootstrap, topic, isolation=isolation) as consumer,
    ):
        end = (await consumer.end_offsets([partition]))[partition]
        if start:
            consumer.seek(partition, start)
        while await consumer.position(partition) < end:
            try:
                found = await _next(consumer, partition, at_once)
            except UnicodeDecodeError:
                if at_once == 1:
                    offset = await consumer.position(partition)
                    records.append(TopicRecord(offset, None, None, unreadable=True))
                    consumer.seek(partition, offset + 1)
                at_once = None if at_once else 1
                continue
            records += [record for record in found if record.offset < end]
    return tuple(records)


async def end_of(bootstrap: str, topic: str, *, isolation: str = "read_committed") -> int:
    """The offset after the topic's last record."""
    partition = TopicPartition(topic, 0)
    async with reading(bootstrap, topic, isolation=isolation) as consumer:
        end: int = (await consumer.end_offsets([partition]))[partition]
        return end


async def committed_offset(admin: AIOKafkaAdminClient, group: str, topic: str) -> int | None:
    """The group's committed offset, None where it has none."""
    offsets = await admin.list_consumer_group_offsets(group)
    found = offsets.get(TopicPartition(topic, 0))
    return None if found is None or found.offset < 0 else found.offset


@asynccontextmanager
async def administration(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    """Inside, an admin client."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await admin.start()
        yield admin
    finally:
        await admin.close()


async def _next(
    consumer: AIOKafkaConsumer, partition: TopicPartition, most: int | None = None
) -> list[TopicRecord]:
    """Wait a fifth of a second for records, and give those that have come."""
    found = await consumer.getmany(partition, timeout_ms=200, max_records=most)
    return [
        TopicRecord(record.offset, record.key, _kept(record.value), tuple(record.headers))
        for record in found.get(partition, [])
    ]


def _kept(value: bytes | None) -> bytes | None:
    """Drop a value that no record may have."""
    return None if value is not None and len(value) > MOST_BYTES else value
