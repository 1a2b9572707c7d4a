"""The Kafka clients of a lane: opened in the order that keeps former owners out."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiokafka import TopicPartition

from consumer.kafka.clients import stop_consumer
from consumer.kafka.connection import connection_options
from consumer.kafka.reader import Reader
from consumer.kafka.topics import message_limits
from consumer.line.cancellation import Cancellations
from consumer.line.settlement import Settlement
from consumer.line.status import StatusPublisher
from consumer.settings import KafkaSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneClients:
    """What a lane reads with and writes with, for as long as the partition is ours."""

    partition: TopicPartition
    settlement: Settlement
    publisher: StatusPublisher
    cancellations: Cancellations
    reader: Reader
    """Of the jobs topic. It is no member of the group: a rebalance doesn't touch it."""

    def producer_down(self) -> str | None:
        """Say which producer has ended by itself, if one has."""
        down = [
            name
            for name, up in (("terminal", self.settlement.up), ("status", self.publisher.up))
            if not up
        ]
        return f"the producer of {' and '.join(down)} events has ended" if down else None


@asynccontextmanager
async def lane_clients(
    settings: KafkaSettings, partition: TopicPartition, *, replay_id: str | None = None
) -> AsyncIterator[LaneClients]:
    """Fence the former owner first: only then is its committed offset final.

    `replay_id`: the replay run that they are for, if any.
    """
    limits = await message_limits(settings)
    async with (
        Settlement(settings, partition, limits=limits, replay_id=replay_id) as settlement,
        StatusPublisher(settings, limit=limits.status, replay_id=replay_id) as publisher,
        Cancellations(settings) as cancellations,
        _reader(settings, partition) as reader,
    ):
        yield LaneClients(
            partition=partition,
            settlement=settlement,
            publisher=publisher,
            cancellations=cancellations,
            reader=reader,
        )


@asynccontextmanager
async def _reader(settings: KafkaSettings, partition: TopicPartition) -> AsyncIterator[Reader]:
    reader = Reader(
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="none",
        **connection_options(settings),
    )
    try:
        await reader.start()
        await reader.end_offsets([partition])  # and with that, it knows the topic's partitions
        yield reader
    finally:
        await stop_consumer(reader)
