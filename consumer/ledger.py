"""The ledger: how often each unsettled record was begun, and which starts ended in a death.

Every start is published as a `processing` event and acknowledged before the work begins, so the
status topic is the ledger, and a new owner reads it back. A start whose last word is `processing`
was cut short while it computed; one whose last word is `retrying` was waiting for a service, and
can't be what killed the process.

Where to read from is kept in the metadata of the committed offset: the bookmark, the offset in the
status topic of the earliest start of any record that is not settled.
"""

import re
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import ConsumerRecord

from consumer.clients import stop_consumer
from consumer.settings import KafkaSettings
from schemas.errors import InvalidMessage
from schemas.status import StatusEvent

_BOOKMARK = re.compile(r"status:(\d+)")
_STARTS = (b"maskline.job.processing.v1", b"maskline.job.retrying.v1")


@dataclass(slots=True)
class Starts:
    """What is known of one record's starts."""

    bookmark: int
    """Offset in the status topic of the first."""
    cut_short: dict[int, bool] = field(default_factory=dict)
    """By attempt: whether it was computing when it was last heard of."""


class Ledger:
    """The starts of all records that are not settled."""

    def __init__(self) -> None:
        self._records: dict[int, Starts] = {}
        self._alive: set[tuple[int, int]] = set()
        self._heard = 0

    def attempt(self, offset: int) -> int:
        """The number of the record's next start, counted from 1."""
        starts = self._records.get(offset)
        return 1 + max(starts.cut_short, default=0) if starts else 1

    def deaths(self, offset: int) -> int:
        """How many of the record's starts ended with the process that made them."""
        starts = self._records.get(offset)
        if starts is None:
            return 0
        return sum(
            cut_short and (offset, attempt) not in self._alive
            for attempt, cut_short in starts.cut_short.items()
        )

    def last_suspect(self) -> int:
        """The highest offset of a record that was computing in a process that died; else -1."""
        return max((offset for offset in self._records if self.deaths(offset)), default=-1)

    def started(self, offset: int, attempt: int, *, at: int) -> None:
        """Note a start of this very process, whose event has offset `at` in the status topic."""
        self._alive.add((offset, attempt))
        self._note(offset, attempt, at=at, computing=True)

    def forget(self, through: int) -> None:
        """Drop every record up to and including offset `through`: they are settled."""
        self._records = {key: value for key, value in self._records.items() if key > through}
        self._alive = {key for key in self._alive if key[0] > through}

    def bookmark(self, *, after: int) -> str:
        """Metadata for a commit of all up to `after`: where the next owner must read from."""
        open_starts = (s.bookmark for offset, s in self._records.items() if offset > after)
        return f"status:{min(open_starts, default=self._heard)}"

    async def read(
        self, settings: KafkaSettings, jobs: TopicPartition, *, bookmark: str | None, start: int
    ) -> None:
        """Read back the starts of records from offset `start` on.

        `bookmark`: metadata of the committed offset; None where nothing is committed yet, which
        takes all that the status topic has.
        """
        self.forget(through=start - 1)
        status = TopicPartition(settings.status_topic, 0)
        # Starts are published outside transactions, which a dead owner's may hold back.
        consumer = AIOKafkaConsumer(
            isolation_level="read_uncommitted",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            **settings.connection(),
        )
        try:
            await consumer.start()
            consumer.assign([status])
            end = (await consumer.end_offsets([status]))[status]
            first = (await consumer.beginning_offsets([status]))[status]
            consumer.seek(status, max(first, min(_place(bookmark, end), end)))
            while await consumer.position(status) < end:
                for records in (await consumer.getmany(status, timeout_ms=1000)).values():
                    for record in records:
                        self._hear(record, settings.consumer_group, jobs, start)
            self._heard = end
        finally:
            await stop_consumer(consumer)

    def _hear(
        self,
        record: "ConsumerRecord[bytes | None, bytes | None]",
        group: str,
        jobs: TopicPartition,
        start: int,
    ) -> None:
        headers = dict(record.headers)
        ours = headers.get("ce_source") == f"/maskline/{group}".encode()
        if not ours or headers.get("ce_type") not in _STARTS:
            return
        try:
            event = StatusEvent.read(record.value)
        except InvalidMessage:
            return
        source = event.source
        if (source.topic, source.partition) == tuple(jobs) and source.offset >= start:
            computing = event.state == "processing"
            self._note(source.offset, event.attempt, at=record.offset, computing=computing)

    def _note(self, offset: int, attempt: int, *, at: int, computing: bool) -> None:
        starts = self._records.setdefault(offset, Starts(bookmark=at))
        starts.cut_short[attempt] = computing
        self._heard = max(self._heard, at + 1)


def _place(bookmark: str | None, end: int) -> int:
    """Where to read from; the end, where somebody else committed the offset and left no mark."""
    if bookmark is None:
        return 0
    found = _BOOKMARK.fullmatch(bookmark)
    return int(found[1]) if found else end
