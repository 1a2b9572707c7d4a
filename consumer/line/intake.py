"""Intake: takes records off the partition into the lane, as many as it has room for."""

import asyncio
from collections.abc import Sequence

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from consumer.errors import LaneLost
from consumer.job.record import Record
from consumer.kafka.reader import AnyRecord, Reader, UnreadableRecord
from consumer.line.lane import Lane
from consumer.line.race import race
from consumer.line.start import halt_before

POLL_MS = 200


class Intake:
    """Reads the jobs topic from where the lane starts."""

    def __init__(
        self, reader: Reader, partition: TopicPartition, *, lane: Lane, end: int | None = None
    ) -> None:
        """`reader` is assigned `partition`; it is no member of the group, and is ours alone.

        `end`: take no record from this offset on; None: take all that come.
        """
        self._reader = reader
        self._partition = partition
        self._lane = lane
        self._end = end

    async def run(self, stop: asyncio.Event) -> None:
        """Take records until `stop`, or until the end is reached if there is one.

        Raises:
            LaneLost: the lane has ended, or the topic can't be read.
            LaneHalted: a person must decide how to go on.
        """
        self._reader.assign([self._partition])
        self._reader.seek(self._partition, self._lane.next_offset)
        await race(self._take_all(), stop.wait())

    async def _take_all(self) -> None:
        # The end may be an offset that no record has.
        while self._end is None or self._lane.next_offset < self._end:
            self._lane.check()
            if self._lane.room <= 0:
                await self._lane.settled()
                continue
            for record in await self._read(self._lane.room):
                if self._end is None or record.offset < self._end:
                    self._lane.take(_as_arrived(record))
            position: int = await self._reader.position(self._partition)
            self._lane.pass_to(position if self._end is None else min(position, self._end))

    async def _read(self, room: int) -> Sequence[AnyRecord]:
        try:
            batches = await self._reader.getmany(timeout_ms=POLL_MS, max_records=room)
            return batches.get(self._partition, ())
        except OffsetOutOfRangeError:
            await self._halt_before_what_is_gone()
            return ()
        except KafkaError as error:
            raise LaneLost(f"the jobs topic can't be read: {error!r}") from error

    async def _halt_before_what_is_gone(self) -> None:
        """Settle what was taken, since that is here; then halt, and say what is gone."""
        if self._lane.in_flight:
            await self._lane.settled()
            return
        start = self._lane.next_offset
        raise await halt_before(self._reader, self._partition, start)


def _as_arrived(record: AnyRecord) -> Record:
    unreadable = record if isinstance(record, UnreadableRecord) else None
    return Record(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        timestamp_ms=record.timestamp,
        key=record.key,
        value=record.value,
        headers=record.headers,
        unreadable=unreadable.reason if unreadable else "",
        value_bytes=unreadable.value_bytes if unreadable else None,
    )
