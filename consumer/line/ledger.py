"""The ledger: how often each unsettled record was begun, and which starts ended in a crash.

Every start is published as a `processing` event and acknowledged before the work begins. So the
status topic is the ledger, and a new owner reads it back. Where the last event of a start is
`processing`, the process crashed while it computed. Where it is `retrying`, the job was waiting for
a service and can't have caused the crash.

Where to read from is kept in the metadata of the committed offset: the bookmark, the offset in the
status topic of the earliest start of any record that is not settled.
"""

from dataclasses import dataclass, field

from aiokafka import TopicPartition

from consumer.kafka.reader import AnyRecord, read_to_end, started_reader
from consumer.settings import KafkaSettings
from schemas import cloud_events
from schemas.errors import InvalidMessage
from schemas.status import StatusEvent

_START_TYPES = tuple(
    cloud_events.event_type(state).encode() for state in ("processing", "retrying")
)


@dataclass(slots=True)
class Starts:
    """What is known of one record's starts."""

    bookmark: int
    """Offset in the status topic of the first."""
    computing: dict[int, bool] = field(default_factory=dict)
    """By attempt: whether its last event is `processing`."""


class Ledger:
    """The starts of all records that are not settled."""

    def __init__(self) -> None:
        self._records: dict[int, Starts] = {}
        self._alive: set[tuple[int, int]] = set()
        self._read_through = 0

    def attempt(self, offset: int) -> int:
        """The number of the record's next start, counted from 1."""
        starts = self._records.get(offset)
        return 1 + max(starts.computing, default=0) if starts else 1

    def crashes(self, offset: int) -> int:
        """How many of the record's starts ended with the process that made them."""
        starts = self._records.get(offset)
        if starts is None:
            return 0
        return sum(
            computing and (offset, attempt) not in self._alive
            for attempt, computing in starts.computing.items()
        )

    def last_crashed(self) -> int:
        """The highest offset of a record that was computing in a process that crashed; else -1."""
        return max((offset for offset in self._records if self.crashes(offset)), default=-1)

    def started(self, offset: int, attempt: int, *, at: int) -> None:
        """Note a start of this very process, whose event has offset `at` in the status topic."""
        self._alive.add((offset, attempt))
        self._note(offset, attempt, at=at, computing=True)

    def forget(self, through: int) -> None:
        """Drop every record up to and including offset `through`: they are settled."""
        self._records = {key: value for key, value in self._records.items() if key > through}
        self._alive = {key for key in self._alive if key[0] > through}

    def bookmark(self, *, after: int) -> int:
        """Where the next owner must read from, once all up to `after` is settled."""
        open_starts = (s.bookmark for offset, s in self._records.items() if offset > after)
        return min(open_starts, default=self._read_through)

    async def read(
        self,
        settings: KafkaSettings,
        jobs: TopicPartition,
        *,
        place: int | None,
        start: int,
        silence: float | None = None,
    ) -> None:
        """Read back the starts of records from offset `start` on.

        `place`: where in the status topic to read from; None: none of its starts concerns us.
        `silence`: an owner that published nothing for so many seconds, while others did, had gone,
        and nothing of it follows; None: read all.
        """
        self.forget(through=start - 1)
        if place is None:
            self._records.clear()
            self._alive.clear()
        status = TopicPartition(settings.status_topic, 0)
        # Starts are published outside transactions, which a dead owner's may hold back.
        async with started_reader(settings, isolation_level="read_uncommitted") as reader:
            await reader.learn_leaders([status])
            end = (await reader.end_offsets([status]))[status]
            if place is not None:
                heard: int | None = None
                async for record in read_to_end(reader, status, start=place, end=end):
                    ours = self._note_event(record, settings.consumer_group, jobs, start)
                    if ours or heard is None:
                        heard = record.timestamp
                    elif silence is not None and record.timestamp > heard + 1000 * silence:
                        break
            self._read_through = end

    def _note_event(
        self,
        record: AnyRecord,
        group: str,
        jobs: TopicPartition,
        start: int,
    ) -> bool:
        """Note an event if it is a start, or a wait, of ours; give whether it is of our group."""
        headers = dict(record.headers)
        ours = headers.get(cloud_events.SOURCE) == cloud_events.event_source(group).encode()
        if not ours or headers.get(cloud_events.TYPE) not in _START_TYPES:
            return ours
        try:
            event = StatusEvent.read(record.value)
        except InvalidMessage:
            return ours
        source = event.source
        if (source.topic, source.partition) == tuple(jobs) and source.offset >= start:
            computing = event.state == "processing"
            self._note(source.offset, event.attempt, at=record.offset, computing=computing)
        return ours

    def _note(self, offset: int, attempt: int, *, at: int, computing: bool) -> None:
        starts = self._records.setdefault(offset, Starts(bookmark=at))
        starts.computing[attempt] = computing
        self._read_through = max(self._read_through, at + 1)
