"""Rows of the table of records: found, changed and written together."""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter

from producer_tools.view.tables import RECORD_COLUMNS, Shown

_COLUMNS = ", ".join(RECORD_COLUMNS)
_MARKS = ", ".join("?" * len(RECORD_COLUMNS))
_PARAMETERS = 500
_columns_of = attrgetter(*RECORD_COLUMNS)


@dataclass(slots=True)
class Row:
    """A record of the jobs topic. The fields have the order of the table's columns."""

    offset: int
    seq: int
    shown: Shown
    settled: bool
    batched: bool
    counted: bool
    job_id: str
    user_id: str | None
    batch_id: str | None
    batch_index: int | None
    record_ms: int
    submitted_ms: int | None
    begun_ms: int | None
    ended_ms: int | None
    attempt: int
    event_offset: int | None
    idempotency_key: str | None

    @classmethod
    def of(cls, columns: tuple[object, ...]) -> "Row":
        """Read a row of the table."""
        row = cls(*columns)  # type: ignore[arg-type]
        row.shown = Shown(row.shown)
        return row

    def columns(self) -> tuple[object, ...]:
        """Return it as a row of the table."""
        columns: tuple[object, ...] = _columns_of(self)
        return columns


class Rows:
    """The rows that one transaction adds and changes."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._known: dict[int, Row] = {}
        self._new: list[Row] = []
        self._new_of_job: dict[str, list[Row]] = defaultdict(list)
        self._new_of_index: dict[tuple[str | None, int | None], list[Row]] = defaultdict(list)
        self._changed: dict[int, Row] = {}

    def add(self, row: Row) -> None:
        """Add a row that isn't there yet."""
        self._known[row.offset] = row
        self._new.append(row)
        self._new_of_job[row.job_id].append(row)
        if row.batched:
            self._new_of_index[row.batch_id, row.batch_index].append(row)

    def change(self, row: Row) -> None:
        """Note that the row has been changed."""
        self._changed[row.offset] = row

    def load(self, offsets: Iterable[int]) -> None:
        """Read the rows of these offsets, so that `find` has them."""
        missing = sorted({offset for offset in offsets if offset not in self._known})
        for part in _parts(missing):
            marks = ",".join("?" * len(part))
            self._read(f"offset IN ({marks})", tuple(part))

    def find(self, offset: int) -> Row | None:
        """Return a row that was added or loaded. None: there is none."""
        return self._known.get(offset)

    def of_job(self, job_id: str, *, before: int) -> list[Row]:
        """Return the rows of a job before an offset."""
        added = [row for row in self._new_of_job.get(job_id, ()) if row.offset < before]
        return added + self._read("job_id = ? AND offset < ?", (job_id, before))

    def between(self, first: int, end: int) -> list[Row]:
        """Return the rows with offsets from `first` to before `end`, in order."""
        stored = self._read("offset >= ? AND offset < ?", (first, end))
        added = [row for row in self._new if first <= row.offset < end]
        return sorted(stored + added, key=lambda row: row.offset)

    def of_index(self, batch_id: str, index: int) -> list[Row]:
        """Return the rows of one index of a batch that are counted."""
        stored = self._read("batch_id = ? AND batch_index = ? AND counted", (batch_id, index))
        added = self._new_of_index.get((batch_id, index), [])
        return [row for row in stored + added if row.counted]

    def write(self) -> None:
        """Write all rows that were added or changed."""
        self._connection.executemany(
            f"INSERT INTO records ({_COLUMNS}) VALUES ({_MARKS})",  # noqa: S608
            [row.columns() for row in self._new],
        )
        added = {row.offset for row in self._new}
        self._connection.executemany(
            "UPDATE records SET shown = ?, settled = ?, counted = ?, begun_ms = ?, ended_ms = ?,"
            " attempt = ?, event_offset = ? WHERE offset = ?",
            [
                (
                    row.shown,
                    row.settled,
                    row.counted,
                    row.begun_ms,
                    row.ended_ms,
                    row.attempt,
                    row.event_offset,
                    row.offset,
                )
                for row in self._changed.values()
                if row.offset not in added
            ],
        )

    def _read(self, condition: str, values: tuple[object, ...]) -> list[Row]:
        found = self._connection.execute(
            f"SELECT {_COLUMNS} FROM records WHERE {condition}",  # noqa: S608
            values,
        )
        return [self._known.setdefault(columns[0], Row.of(columns)) for columns in found]


def _parts(offsets: list[int]) -> Iterator[list[int]]:
    rest = iter(offsets)
    while part := list(islice(rest, _PARAMETERS)):
        yield part
