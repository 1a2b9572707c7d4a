"""What the status topic tells of a group without a committed offset: how far it has settled.

It is searched from its end, a window at a time, so that it takes no longer for a topic that holds a
week of a busy line.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from aiokafka import TopicPartition

from consumer.kafka.reader import AnyRecord, Reader, read_to_end, started_reader
from consumer.settings import KafkaSettings
from schemas import cloud_events
from schemas.errors import InvalidMessage
from schemas.status import TERMINAL_STATES, StatusEvent

FIRST_WINDOW = 2_000
LARGEST_WINDOW = 50_000
MOST_IN_FLIGHT = 10_000
"""The largest `MAX_IN_FLIGHT`: when a record was begun, all but so many before it were settled."""

_TERMINAL_TYPES = frozenset(cloud_events.event_type(state).encode() for state in TERMINAL_STATES)


@dataclass(frozen=True, slots=True)
class History:
    """How far a group came, as its terminal events tell."""

    settled: int | None
    """The offset after the last record that has one; None where none has."""
    place: int
    """Where in the status topic the starts of records that have none begin, at the earliest."""
    topic_id: str = ""
    """The jobs topic that was settled last; empty where its events don't say."""


async def read_history(settings: KafkaSettings, jobs: TopicPartition) -> History:
    """Search the status topic from its end for the group's last terminal event."""
    async with started_reader(settings, isolation_level="read_committed") as reader:
        await reader.learn_leaders([TopicPartition(settings.status_topic, 0)])
        return await _search(reader, settings, jobs)


async def read_settled(settings: KafkaSettings, jobs: TopicPartition, *, place: int) -> History:
    """Read from `place` in the status topic on how far the group has settled since."""
    async with started_reader(settings, isolation_level="read_committed") as reader:
        status = TopicPartition(settings.status_topic, 0)
        await reader.learn_leaders([status])
        ends = [
            record
            async for record in read_to_end(reader, status, start=place)
            if _is_of(settings.consumer_group, record) and _is_terminal(record)
        ]
    last = _last_settled(reversed(ends), jobs)
    return History(None, place) if last is None else History(last[0], place, last[1])


async def _search(reader: Reader, settings: KafkaSettings, jobs: TopicPartition) -> History:
    status = TopicPartition(settings.status_topic, 0)
    first = (await reader.beginning_offsets([status]))[status]
    place = low = (await reader.end_offsets([status]))[status]
    last: tuple[int, str] | None = None
    ended, window = 0, FIRST_WINDOW
    while low > first and ended < MOST_IN_FLIGHT:
        high, low = low, max(first, low - window)
        window = min(2 * window, LARGEST_WINDOW)
        ends: list[AnyRecord] = []
        begun = high
        async for record in read_to_end(reader, status, start=low, end=high):
            if not _is_of(settings.consumer_group, record):
                continue
            begun = min(begun, record.offset)
            if _is_terminal(record):
                ended += 1
                ends += [record] if last is None else []
        last = last or _last_settled(reversed(ends), jobs)
        place = begun if begun < high else place
    return History(None, place) if last is None else History(last[0], place, last[1])


def _last_settled(
    latest_first: Iterable[AnyRecord], jobs: TopicPartition
) -> tuple[int, str] | None:
    for record in latest_first:
        try:
            event = StatusEvent.read(record.value)
        except InvalidMessage:
            continue
        source = event.source
        if (source.topic, source.partition) == tuple(jobs) and event.replay_id is None:
            topic_id = dict(record.headers).get(cloud_events.TOPIC_ID) or b""
            return source.offset + 1, topic_id.decode(errors="replace")
    return None


def _is_of(group: str, record: AnyRecord) -> bool:
    return (cloud_events.SOURCE, cloud_events.event_source(group).encode()) in record.headers


def _is_terminal(record: AnyRecord) -> bool:
    return dict(record.headers).get(cloud_events.TYPE) in _TERMINAL_TYPES
