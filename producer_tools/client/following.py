"""Follows the status topic: each event of the line once, in order."""

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field

from aiokafka import TopicPartition
from aiokafka.errors import GroupAuthorizationFailedError, KafkaError
from aiokafka.structs import OffsetAndMetadata

from consumer.kafka.reader import AnyRecord, Reader
from consumer.kafka.rights import subscriber_rights, to_read
from consumer.settings import KafkaSettings
from producer_tools.client.line import check_rights, offsets, open_reader, unreachable
from producer_tools.errors import ServiceError
from schemas import cloud_events
from schemas.errors import InvalidMessage
from schemas.status import TERMINAL_STATES, StatusEvent

_POLL_MS = 500
_SILENT_SECONDS = 30.0
"""A broker responds to a fetch of nothing after half a second."""
_LOOK_BACK = 500
_LONGEST_LOOK_BACK = 100_000


@dataclass(frozen=True, slots=True)
class Followed:
    """An event, and where it is."""

    offset: int
    """Its offset in the status topic. To go on after it, follow from the next offset."""
    event: StatusEvent


@dataclass(slots=True)
class OnceEach:
    """Drops what says nothing new of the line: replay runs, late events, second terminal events.

    Terminal events come in the order of their records, so one number says which have ended.
    """

    jobs_topic: str
    ended_through: int = -1
    topic_id: str = ""
    """The id of the jobs topic. One that was made anew counts its offsets from 0 again."""
    earlier_ids: set[str] = field(default_factory=set)

    def read(self, record: AnyRecord) -> StatusEvent | None:
        """Read an event. Return None for a record to drop, also if it is no event."""
        try:
            event = StatusEvent.read(record.value)
        except InvalidMessage:
            return None
        return event if self._says_news(event, _topic_id(record)) else None

    def _says_news(self, event: StatusEvent, topic_id: str) -> bool:
        if event.replay_id is not None or event.source.topic != self.jobs_topic:
            return False
        if topic_id and topic_id != self.topic_id:
            if topic_id in self.earlier_ids:
                return False
            if self.topic_id:
                self.earlier_ids.add(self.topic_id)
                self.ended_through = -1
            self.topic_id = topic_id
        if event.source.offset <= self.ended_through:
            return False
        if event.state in TERMINAL_STATES:
            self.ended_through = event.source.offset
        return True


async def follow(
    settings: KafkaSettings, *, from_offset: int | None = None, group: str | None = None
) -> AsyncGenerator[Followed, None]:
    """Yield the line's events from an offset on, for as long as the caller asks for more.

    Args:
        settings: The line.
        from_offset: Where in the status topic to begin. An offset that is gone is the earliest one.
            None: where the group stands, or at the topic's end without a group.
        group: A consumer group of the caller's that remembers how far it came. An event counts as
            done when the caller asks for the next one. Only one process at a time may use it.

    Raises:
        ServiceError: Kafka can't be reached, or doesn't answer any more.
    """
    partition = TopicPartition(settings.status_topic, 0)
    takes = subscriber_rights(settings, group)
    async with open_reader(settings, group_id=group) as reader:
        await check_rights(settings, reader, takes)
        start = await _start(settings, reader, partition, from_offset, grouped=group is not None)
        # No `await` between the two: aiokafka would choose an offset of its own.
        reader.assign([partition])
        reader.seek(partition, start)
        once = OnceEach(settings.jobs_topic)
        try:
            await _look_back(settings, reader, partition, start, once)
            reader.seek(partition, start)
            polls = _polls(reader, partition, once)
            async with aclosing(polls):
                async for found in polls:
                    for followed in found:
                        yield followed
                        start = followed.offset + 1
                    start = max(start, await reader.position(partition))
                    if group is not None:
                        await _commit(reader, partition, start)
        except KafkaError as error:
            raise unreachable(settings, error, *takes) from error
        finally:
            if group is not None:
                with suppress(GroupAuthorizationFailedError):  # said already
                    await _commit(reader, partition, start)


async def _start(
    settings: KafkaSettings,
    reader: Reader,
    partition: TopicPartition,
    from_offset: int | None,
    *,
    grouped: bool,
) -> int:
    """Return the offset to begin at."""
    there = await offsets(settings, reader, partition)
    start = from_offset
    if start is None:
        try:
            start = await reader.committed(partition) if grouped else None
        except KafkaError as error:
            raise unreachable(settings, error) from error
    if start is None:
        return there.stop
    if start > there.stop:
        raise ServiceError(
            f"{partition.topic} ends at offset {there.stop}, before {start}: it was made anew."
            " Follow it without an offset, or with a new group"
        )
    return max(start, there.start)


async def _look_back(
    settings: KafkaSettings,
    reader: Reader,
    partition: TopicPartition,
    start: int,
    once: OnceEach,
) -> None:
    """Find the last terminal event before `start`, so that late events after it are known."""
    first = (await offsets(settings, reader, partition)).start
    distance = _LOOK_BACK
    while once.ended_through < 0 and first < start and distance <= _LONGEST_LOOK_BACK:
        begin = max(first, start - distance)
        reader.seek(partition, begin)
        while await reader.position(partition) < start:
            for record in await poll(reader, partition):
                if record.offset < start:
                    once.read(record)
        if begin == first:
            return
        distance *= 8


async def _polls(
    reader: Reader, partition: TopicPartition, once: OnceEach
) -> AsyncGenerator[Sequence[Followed], None]:
    while True:
        records = await poll(reader, partition)
        events = ((record.offset, once.read(record)) for record in records)
        yield [Followed(offset, event) for offset, event in events if event is not None]


async def poll(reader: Reader, partition: TopicPartition) -> Sequence[AnyRecord]:
    """Return the next records, which may be none.

    Raises:
        ServiceError: The broker hasn't answered for half a minute: aiokafka asks again and again.
    """
    found = await reader.getmany(partition, timeout_ms=_POLL_MS)
    answered_at = reader.last_poll_timestamp(partition)
    if answered_at is not None and time.time() - answered_at / 1000 > _SILENT_SECONDS:
        raise ServiceError(
            f"Kafka has not answered for {_SILENT_SECONDS:g} s. What was read so far is right;"
            " go on from its last offset when Kafka is back"
        )
    records: Sequence[AnyRecord] = found.get(partition, ())
    return records


async def _commit(reader: Reader, partition: TopicPartition, offset: int) -> None:
    await reader.commit({partition: OffsetAndMetadata(offset, "")})


def _topic_id(record: AnyRecord) -> str:
    """Return the id of the jobs topic that an event speaks of. Older events don't have it."""
    for name, value in record.headers:
        if name == cloud_events.TOPIC_ID and value:
            return bytes(value).decode(errors="replace")
    return ""


async def bounds(settings: KafkaSettings) -> range:
    """Return the offsets of the status topic, from its first record to its end.

    Raises:
        ServiceError: Kafka can't be reached.
    """
    async with open_reader(settings) as reader:
        return await offsets(settings, reader, TopicPartition(settings.status_topic, 0))


async def between(settings: KafkaSettings, start: int, end: int) -> AsyncGenerator[Followed, None]:
    """Yield the line's events from offset `start` to before `end`, which the topic must have.

    Raises:
        ServiceError: Kafka can't be reached, or doesn't answer any more.
    """
    partition = TopicPartition(settings.status_topic, 0)
    takes = to_read(settings.status_topic)
    async with open_reader(settings) as reader:
        begin = await _start(settings, reader, partition, start, grouped=False)
        reader.assign([partition])
        reader.seek(partition, begin)
        once = OnceEach(settings.jobs_topic)
        try:
            await _look_back(settings, reader, partition, begin, once)
            reader.seek(partition, begin)
            while await reader.position(partition) < end:
                for record in await poll(reader, partition):
                    event = once.read(record) if record.offset < end else None
                    if event is not None:
                        yield Followed(record.offset, event)
        except KafkaError as error:
            raise unreachable(settings, error, *takes) from error
