"""Questions to the view. Each is answered by indexes, so that its cost doesn't grow with the view.

The methods block, for about a millisecond: call them in a thread.
"""

import heapq
import json
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any, cast

from producer_tools.view.batches import BatchRow
from producer_tools.view.hour import Minute, last_hour
from producer_tools.view.rows import Row
from producer_tools.view.tables import BATCH_COLUMNS, RECORD_COLUMNS, Shown
from producer_tools.view.tally import ENDED, QUEUED, SHIFT, count_before
from schemas.errors import InvalidMessage
from schemas.status import StatusEvent

_RECORD = ", ".join(RECORD_COLUMNS)
_BATCH = ", ".join(BATCH_COLUMNS)
_ALL = tuple(Shown)
_KEPT_EVENTS, _KEPT_TEXT = 1000, 4000
"""So many events are kept as they were read, unless they are longer than this."""
PASSED_OVER = "passed over: the line went on behind this record without it"


@dataclass(frozen=True, slots=True)
class Story:
    """All that is known of one record."""

    row: Row
    job: dict[str, Any]
    """What the job says. `unreadable` says why it isn't one."""
    event: StatusEvent | None
    """Its latest event that is no `processing`."""

    @property
    def error(self) -> tuple[str, str] | None:
        """Why it failed or waits, as a code and a text. None: nothing went wrong."""
        if self.event is not None and self.event.error is not None:
            return self.event.error.code, self.event.error.message
        if self.row.shown is not Shown.FAILED:
            return None
        if "unreadable" in self.job:
            return "invalid_message", str(self.job["unreadable"])
        return "internal_error", PASSED_OVER


@dataclass(frozen=True, slots=True)
class Page:
    """The newest rows of a list, and how many there are in all."""

    total: int
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True)
class ItemPage:
    """The newest items of a list in which a batch is one item."""

    total: int
    items: Sequence[Row | BatchRow]


@dataclass(frozen=True, slots=True)
class Totals:
    """How many there are in each state."""

    records: dict[Shown, int]
    """Records, each for itself."""
    items: dict[Shown, int]
    """Records, but all of a batch as one."""
    last_settled_ms: int | None
    """When the line last settled something, by Kafka's clock."""

    @property
    def unsettled(self) -> int:
        """How many records wait or are under way."""
        return sum(n for shown, n in self.records.items() if not shown.ended)


class Queries:
    """The questions, over one connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def job(self, job_id: str) -> Story | None:
        """Return the latest record of a job. None: there is none."""
        return self._story(
            f"SELECT {_RECORD} FROM records WHERE job_id = ? ORDER BY offset DESC LIMIT 1",  # noqa: S608
            (job_id,),
        )

    def record(self, offset: int) -> Story | None:
        """Return the record at this offset of the jobs topic. None: there is none."""
        return self._story(
            f"SELECT {_RECORD} FROM records WHERE offset = ?",  # noqa: S608
            (offset,),
        )

    def by_idempotency_key(self, key: str, user_id: str, since_ms: int) -> Story | None:
        """Return the first record with this key of this user since then. None: there is none."""
        return self._story(
            f"SELECT {_RECORD} FROM records WHERE idempotency_key = ? AND user_id = ?"  # noqa: S608
            " AND record_ms >= ? ORDER BY offset LIMIT 1",
            (key, user_id, since_ms),
        )

    def position(self, row: Row) -> int | None:
        """Return the record's place in the queue: 1 for the next. None: it doesn't wait."""
        if row.shown is not Shown.QUEUED:
            return None
        bucket = row.seq >> SHIFT
        (here,) = self._connection.execute(
            "SELECT count(*) FROM records WHERE shown = ? AND batched IN (0, 1)"
            " AND seq >= ? AND seq < ?",
            (Shown.QUEUED, bucket << SHIFT, row.seq),
        ).fetchone()
        return count_before(self._connection, QUEUED, bucket) + int(here) + 1

    def totals(self) -> Totals:
        """Return how many there are in each state."""
        found = {
            (kind, Shown(shown)): n
            for kind, shown, n in self._connection.execute("SELECT kind, shown, n FROM totals")
        }
        (last,) = self._connection.execute("SELECT last_settled_ms FROM view").fetchone()

        def add(*kinds: str) -> dict[Shown, int]:
            return {each: sum(found.get((kind, each), 0) for kind in kinds) for each in _ALL}

        return Totals(add("single", "batched"), add("single", "batch"), last)

    def ended_before(self, ms: int) -> int:
        """Return how many records ended before this moment, to the second."""
        return count_before(self._connection, ENDED, max(ms, 0) // 1000)

    def first_begun(self) -> Row | None:
        """Return the first record that has begun and not ended. None: there is none."""
        return self._first((Shown.PROCESSING, Shown.RETRYING))

    def first_open(self) -> Row | None:
        """Return the first record that has not ended. None: there is none."""
        return self._first((Shown.QUEUED, Shown.PROCESSING, Shown.RETRYING))

    def page(
        self, states: Collection[Shown] = _ALL, *, limit: int, before: int | None = None
    ) -> Page:
        """Return the newest records in these states, and how many there are.

        Args:
            states: The states.
            limit: How many to return.
            before: Return those before this offset alone, for a further page.
        """
        with self.snapshot():
            lists = [
                self._newest(shown, batched, limit, before)
                for shown in set(states)
                for batched in (0, 1)
            ]
            totals = self.totals().records
        newest = heapq.merge(*lists, key=lambda row: -row.offset)
        return Page(sum(totals[shown] for shown in set(states)), list(islice(newest, limit)))

    def items(self, states: Collection[Shown] = _ALL, *, limit: int) -> ItemPage:
        """Return the newest items in these states, a batch as one, and how many there are."""
        lists: list[Sequence[Row | BatchRow]] = []
        with self.snapshot():
            for shown in set(states):
                lists += [self._newest(shown, 0, limit), self._newest_batches(shown, limit)]
            totals = self.totals().items
        newest = heapq.merge(*lists, key=lambda item: -item.seq)
        return ItemPage(sum(totals[shown] for shown in set(states)), list(islice(newest, limit)))

    def next_up(self, limit: int) -> list[Row]:
        """Return the records that are begun next, in order."""
        lists = [
            self._rows(
                "shown = ? AND batched = ? ORDER BY seq LIMIT ?", (Shown.QUEUED, batched, limit)
            )
            for batched in (0, 1)
        ]
        return list(islice(heapq.merge(*lists, key=lambda row: row.seq), limit))

    def event_before(self, row: Row, places: int) -> int | None:
        """Return the latest event's offset of the record so many places earlier. None: no such."""
        found = self._connection.execute(
            "SELECT event_offset FROM records WHERE offset < ? ORDER BY offset DESC"
            " LIMIT 1 OFFSET ?",
            (row.offset, places - 1),
        ).fetchone()
        return None if found is None else cast("int | None", found[0])

    def last_hour(self, totals: Totals, now_ms: int) -> list[Minute]:
        """Return the last 60 minutes, the present one last."""
        return last_hour(self._connection, unsettled=totals.unsettled, now_ms=now_ms)

    def batch(self, batch_id: str) -> BatchRow | None:
        """Return a batch. None: there is none of that name."""
        found = self._connection.execute(
            f"SELECT {_BATCH} FROM batches WHERE batch_id = ?",  # noqa: S608
            (batch_id,),
        ).fetchone()
        return None if found is None else BatchRow.of(found)

    def batch_records(self, batch_id: str) -> list[Row]:
        """Return the latest record of each index of a batch, by index."""
        return self._rows("batch_id = ? AND counted ORDER BY batch_index", (batch_id,))

    def offsets_in(self, states: Collection[Shown]) -> set[int]:
        """Return the offsets of all records in these states. It takes longer for more of them."""
        marks = ",".join("?" * len(states))
        found = self._connection.execute(
            f"SELECT offset FROM records WHERE shown IN ({marks})",  # noqa: S608
            tuple(states),
        )
        return {offset for (offset,) in found}

    def positions(self) -> dict[str, int]:
        """Return how far each topic is folded, as the next offset."""
        return dict(self._connection.execute("SELECT topic, next_offset FROM positions"))

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let all questions in the block be answered from the same moment."""
        if self._connection.in_transaction:
            yield
            return
        self._connection.execute("BEGIN")
        try:
            yield
        finally:
            self._connection.execute("COMMIT")

    def _first(self, states: Sequence[Shown]) -> Row | None:
        """Return the first record in these states."""
        found = [
            row
            for shown in states
            for batched in (0, 1)
            for row in self._rows(
                "shown = ? AND batched = ? ORDER BY seq LIMIT 1", (shown, batched)
            )
        ]
        return min(found, key=lambda row: row.seq, default=None)

    def _newest(
        self, shown: Shown, batched: int, limit: int, before: int | None = None
    ) -> list[Row]:
        seq = 2**63 - 1
        if before is not None:
            found = self._connection.execute(
                "SELECT seq FROM records WHERE offset >= ? ORDER BY offset LIMIT 1", (before,)
            ).fetchone()
            seq = found[0] if found else seq
        return self._rows(
            "shown = ? AND batched = ? AND seq < ? ORDER BY seq DESC LIMIT ?",
            (shown, batched, seq, limit),
        )

    def _newest_batches(self, shown: Shown, limit: int) -> list[BatchRow]:
        found = self._connection.execute(
            f"SELECT {_BATCH} FROM batches WHERE shown = ? ORDER BY seq DESC LIMIT ?",  # noqa: S608
            (shown, limit),
        ).fetchall()
        return [BatchRow.of(columns) for columns in found]

    def _rows(self, condition: str, values: tuple[object, ...]) -> list[Row]:
        found = self._connection.execute(
            f"SELECT {_RECORD} FROM records WHERE {condition}",  # noqa: S608
            values,
        ).fetchall()
        return [Row.of(columns) for columns in found]

    def _story(self, query: str, values: tuple[object, ...]) -> Story | None:
        columns = self._connection.execute(query, values).fetchone()
        if columns is None:
            return None
        row = Row.of(columns)
        job = self._text("job", "jobs", row.offset)
        event = self._text("event", "events", row.offset)
        return Story(row, json.loads(job or "{}"), _event(event) if event else None)

    def _text(self, column: str, table: str, offset: int) -> str | None:
        found = self._connection.execute(
            f"SELECT {column} FROM {table} WHERE offset = ?",  # noqa: S608
            (offset,),
        ).fetchone()
        return found and str(found[0])


def _event(text: str) -> StatusEvent | None:
    """Read an event. Callers ask for the same job again and again, until it has ended."""
    return _known_event(text) if len(text) <= _KEPT_TEXT else _read_event(text)


def _read_event(text: str) -> StatusEvent | None:
    try:
        return StatusEvent.read(text.encode())
    except InvalidMessage:  # of a later version
        return None


_known_event = lru_cache(maxsize=_KEPT_EVENTS)(_read_event)
