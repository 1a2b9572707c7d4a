"""Readers of topics: aiokafka's consumer, with bounds on what a record may cost.

aiokafka unpacks a batch whole, whatever its size, and gives up on a record with a header whose
name is no UTF-8. Every reader of ours is a `Reader`, which does neither
(docs/adr/0023-bounded-reader.md).
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeAlias

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.structs import ConsumerRecord

from consumer.kafka.batches import ReadRecord, RecordBatches
from consumer.kafka.clients import stop_consumer
from consumer.kafka.connection import connection_options
from consumer.settings import KafkaSettings

POLL_BYTES = 16 * 1024 * 1024
"""One poll gives no further record after so many bytes, those that were passed over included."""

AnyRecord: TypeAlias = "ConsumerRecord[bytes | None, bytes | None]"


@dataclass
class UnreadableRecord(ConsumerRecord):  # type: ignore[misc]
    """A record that can't be read, or not all of it: what could be had of it, and why."""

    reason: str = ""
    value_bytes: int | None = None
    """Size of the value that was left out; None where it is there, or its size isn't known."""


class BoundedRecords(fetcher.PartitionRecords):  # type: ignore[misc]
    """The records of one fetch: those that can't be read are given, too."""

    def _consumer_record(self, partition: TopicPartition, record: Any) -> AnyRecord:
        read: AnyRecord = super()._consumer_record(partition, record)
        if isinstance(record, ReadRecord) and record.unreadable:
            known = {field.name: getattr(read, field.name) for field in fields(ConsumerRecord)}
            return UnreadableRecord(
                **known, reason=record.unreadable, value_bytes=record.value_bytes
            )
        return read


class BoundedResult(fetcher.FetchResult):  # type: ignore[misc]
    """What one fetch brought, given out in portions of bounded size."""

    _partition_records: BoundedRecords | None

    def getall(self, max_records: int | None = None) -> list[AnyRecord]:
        """Give the next records; the rest is kept for the next poll."""
        if not self.check_assignment(self._topic_partition) or not self.has_more():
            return []
        taken: list[AnyRecord] = []
        size = 0
        for record in self._partition_records or ():
            taken.append(record)
            size += _cost(record)
            if len(taken) == max_records or size >= POLL_BYTES:
                self._update_position()
                return taken
        self._update_position()
        self._partition_records = None
        return taken


class Reader(AIOKafkaConsumer):  # type: ignore[misc]
    """aiokafka's consumer; the records that it gives may be `UnreadableRecord`s.

    No poll unpacks more than 1 GiB, nor holds more than one record of 16 MiB beyond `POLL_BYTES`.
    """

    def __init__(self, *topics: str, **options: Any) -> None:
        # aiokafka's fetcher takes these by name from its module, and there is no other way in.
        # So it is for the whole process: no reader can be without bounds by mistake.
        fetcher.MemoryRecords = RecordBatches
        fetcher.PartitionRecords = BoundedRecords
        fetcher.FetchResult = BoundedResult
        super().__init__(*topics, **options)

    async def learn_leaders(self, partitions: Iterable[TopicPartition]) -> None:
        """Learn which brokers lead these partitions, before they are asked.

        Of a partition that is new to it aiokafka learns the leader, too, but then waits for 0.1 s.
        """
        topics = {partition.topic for partition in partitions}
        await asyncio.gather(*map(self._client.add_topic, topics))

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> dict[TopicPartition, list[AnyRecord]]:
        """Give what was read, as aiokafka does; let others have the loop first."""
        await asyncio.sleep(0)
        records: dict[TopicPartition, list[AnyRecord]] = await super().getmany(
            *partitions, timeout_ms=timeout_ms, max_records=max_records
        )
        return records


@asynccontextmanager
async def started_reader(
    settings: KafkaSettings, *, isolation_level: Literal["read_committed", "read_uncommitted"]
) -> AsyncIterator[Reader]:
    """Give a reader that begins where it is told, and commits nothing; stop it afterwards."""
    reader = Reader(
        isolation_level=isolation_level,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        **connection_options(settings),
    )
    try:
        await reader.start()
        yield reader
    finally:
        await stop_consumer(reader)


async def read_to_end(
    reader: AIOKafkaConsumer, partition: TopicPartition, *, start: int, end: int | None = None
) -> AsyncIterator[AnyRecord]:
    """Give the records from offset `start` to the end that the topic has now, or to `end`.

    The reader is assigned the partition, and stands behind the last record afterwards. An offset
    that the topic no longer has is passed over.
    """
    reader.assign([partition])
    first = (await reader.beginning_offsets([partition]))[partition]
    last = (await reader.end_offsets([partition]))[partition]
    stop = last if end is None else min(end, last)
    reader.seek(partition, max(first, min(start, last)))
    while await reader.position(partition) < stop:
        for record in (await reader.getmany(partition, timeout_ms=1000)).get(partition, []):
            if record.offset >= stop:
                return
            yield record


def _cost(record: AnyRecord) -> int:
    """Give the bytes that a record holds, or that were unpacked to pass it over."""
    passed_over = getattr(record, "value_bytes", None) or 0
    return len(record.key or b"") + len(record.value or b"") + passed_over
