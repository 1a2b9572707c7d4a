"""Intake: takes records off the partition into the lane, as many as it has room for."""

import asyncio
from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError
from aiokafka.structs import ConsumerRecord

from consumer.errors import LaneHalted, LaneLost
from consumer.job.record import Record
from consumer.line.lane import Lane
from consumer.line.race import race

POLL_MS = 200


class Intake:
    """Reads the jobs topic from where the lane starts."""

    def __init__(self, reader: AIOKafkaConsumer, partition: TopicPartition, *, lane: Lane) -> None:
        """`reader` is assigned `partition`; it is no member of the group, and is ours alone."""
        self._reader = reader
        self._partition = partition
        self._lane = lane
        self._one_at_a_time = False

    async def run(self, stop: asyncio.Event) -> None:
        """Take records until `stop`.

        Raises:
            LaneLost: the lane has ended, or the topic can't be read.
            LaneHalted: a person must decide how to go on.
        """
        self._reader.assign([self._partition])
        self._reader.seek(self._partition, self._lane.next_offset)
        await race(self._take_all(), stop.wait())

    async def _take_all(self) -> None:
        while True:
            self._lane.check()
            if self._lane.room <= 0:
                await self._lane.settled()
                continue
            for record in await self._read(1 if self._one_at_a_time else self._lane.room):
                self._lane.take(_as_arrived(record))

    async def _read(self, room: int) -> "Sequence[ConsumerRecord[bytes | None, bytes | None]]":
        try:
            batches = await self._reader.getmany(timeout_ms=POLL_MS, max_records=room)
        except OffsetOutOfRangeError as error:
            raise LaneHalted(f"the jobs topic no longer holds what comes next: {error}") from error
        except UnicodeDecodeError as error:
            await self._halt_before_unreadable(error)
            return ()
        except KafkaError as error:
            raise LaneLost(f"the jobs topic can't be read: {error!r}") from error
        self._one_at_a_time = False
        records: Sequence[ConsumerRecord[bytes | None, bytes | None]]
        records = batches.get(self._partition, ())
        return records

    async def _halt_before_unreadable(self, error: UnicodeDecodeError) -> None:
        """Take and settle what comes before the record; then halt, since only a person may skip it.

        aiokafka can't give us a record with a header whose name is no UTF-8, not even to put it
        aside; what it read before that record in the same call, it gives when asked again.
        """
        if not self._one_at_a_time:
            self._one_at_a_time = True
        elif self._lane.in_flight:
            await self._lane.settled()
        else:
            offset = await self._reader.position(self._partition)
            raise LaneHalted(
                f"the record at offset {offset} can't be read, a header's name is no UTF-8"
                f" ({error}): `maskline consume --from-offset {offset + 1}` goes on without it"
            )


def _as_arrived(record: "ConsumerRecord[bytes | None, bytes | None]") -> Record:
    return Record(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        timestamp_ms=record.timestamp,
        key=record.key,
        value=record.value,
        headers=tuple(record.headers),
    )
