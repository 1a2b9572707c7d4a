"""Batches: how many of their jobs are in each state, and what follows for the whole."""

import sqlite3
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from producer_tools.view.tables import BATCH_COLUMNS, Shown

_FACTS = 10
_COLUMNS = ", ".join(BATCH_COLUMNS)
_MARKS = ", ".join("?" * len(BATCH_COLUMNS))


@dataclass(slots=True)
class BatchRow:
    """A batch."""

    batch_id: str
    seq: int
    shown: Shown
    size: int
    missing: int
    first_ms: int
    last_ms: int
    submitted_ms: int | None
    begun_ms: int | None = None
    ended_ms: int | None = None
    counts: list[int] = field(default_factory=lambda: [0] * len(Shown))
    """How many of its indexes are in each state."""
    stored: Shown | None = None
    """The state in the file. None: it isn't there yet."""

    @classmethod
    def of(cls, columns: tuple[Any, ...]) -> "BatchRow":
        """Read a row of the table."""
        batch_id, seq, shown, *facts = columns[:_FACTS]
        row = cls(batch_id, seq, Shown(shown), *facts)
        row.counts, row.stored = list(columns[_FACTS:]), row.shown
        return row

    def state(self) -> Shown:
        """Return its state, from those of its jobs."""
        counts = self.counts
        ended = sum(counts[Shown.COMPLETED :])
        under_way = sum(counts[: Shown.COMPLETED])
        if not under_way and ended + self.missing >= self.size:
            if counts[Shown.COMPLETED]:
                return Shown.COMPLETED
            return (
                Shown.CANCELLED if counts[Shown.CANCELLED] == ended + self.missing else Shown.FAILED
            )
        begun = sum(counts[Shown.PROCESSING : Shown.CANCELLED])
        return Shown.PROCESSING if begun else Shown.QUEUED

    def columns(self) -> tuple[object, ...]:
        """Return it as a row of the table."""
        return (
            self.batch_id,
            self.seq,
            self.shown,
            self.size,
            self.missing,
            self.first_ms,
            self.last_ms,
            self.submitted_ms,
            self.begun_ms,
            self.ended_ms,
            *self.counts,
        )


class Batches:
    """The batches that one transaction changes."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._rows: dict[str, BatchRow] = {}

    def find(self, batch_id: str) -> BatchRow | None:
        """Return a batch, if there is one of that name."""
        if batch_id not in self._rows:
            columns = self._connection.execute(
                f"SELECT {_COLUMNS} FROM batches WHERE batch_id = ?",  # noqa: S608
                (batch_id,),
            ).fetchone()
            if columns is None:
                return None
            self._rows[batch_id] = BatchRow.of(columns)
        return self._rows[batch_id]

    def add(self, row: BatchRow) -> None:
        """Add a batch that isn't there yet."""
        self._rows[row.batch_id] = row

    def write(self, totals: Counter[tuple[str, int]]) -> None:
        """Write the changed batches, and count them in `totals`."""
        for row in self._rows.values():
            row.shown = row.state()
            if row.stored is not row.shown:
                totals["batch", row.shown] += 1
                if row.stored is not None:
                    totals["batch", row.stored] -= 1
        write_batches(self._connection, self._rows.values())


def write_batches(connection: sqlite3.Connection, rows: Iterable[BatchRow]) -> None:
    """Write batches."""
    connection.executemany(
        f"INSERT OR REPLACE INTO batches ({_COLUMNS}) VALUES ({_MARKS})",  # noqa: S608
        [row.columns() for row in rows],
    )
