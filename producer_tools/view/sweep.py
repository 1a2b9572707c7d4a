"""Removes what is older than 7 days, a portion at a time."""

import sqlite3
from collections import Counter

from producer_tools.view.batches import BatchRow, write_batches
from producer_tools.view.fold import write_totals
from producer_tools.view.tables import BATCH_COLUMNS, Shown
from producer_tools.view.tally import ENDED, QUEUED, SHIFT, TallyChanges, second

KEEP_MS = 7 * 24 * 60 * 60 * 1000
PORTION = 2000
_UNDER_WAY = (Shown.QUEUED, Shown.PROCESSING)


def sweep(connection: sqlite3.Connection, now: int) -> bool:
    """Remove a portion, and return whether there is more. To be called inside a transaction.

    Args:
        connection: The view's.
        now: The present time in milliseconds since 1970.
    """
    cutoff = now - KEEP_MS
    totals: Counter[tuple[str, int]] = Counter()
    more = _sweep_records(connection, cutoff, totals)
    _end_batches(connection, cutoff, totals)
    for batch_id, shown in connection.execute(
        "SELECT batch_id, shown FROM batches WHERE last_ms < ? LIMIT ?", (cutoff, PORTION)
    ).fetchall():
        connection.execute("DELETE FROM batches WHERE batch_id = ?", (batch_id,))
        totals["batch", shown] -= 1
    connection.execute("DELETE FROM cancels WHERE record_ms < ?", (cutoff,))
    write_totals(connection, totals)
    return more


def _sweep_records(
    connection: sqlite3.Connection, cutoff: int, totals: Counter[tuple[str, int]]
) -> bool:
    found = connection.execute(
        "SELECT offset, seq, shown, batched, ended_ms FROM records WHERE record_ms < ? LIMIT ?",
        (cutoff, PORTION),
    ).fetchall()
    tallies = TallyChanges()
    for _, seq, shown, batched, ended_ms in found:
        totals["batched" if batched else "single", shown] -= 1
        if shown == Shown.QUEUED:
            tallies.add(QUEUED, seq >> SHIFT, -1)
        if ended_ms is not None:
            tallies.add(ENDED, second(ended_ms), -1)
    tallies.write(connection)
    for table in ("records", "jobs", "events"):
        connection.executemany(
            f"DELETE FROM {table} WHERE offset = ?",  # noqa: S608
            [(row[0],) for row in found],
        )
    connection.execute("DELETE FROM tallies WHERE n = 0")
    return len(found) == PORTION


def _end_batches(
    connection: sqlite3.Connection, cutoff: int, totals: Counter[tuple[str, int]]
) -> None:
    """End the batches of which a record never came within 7 days of the first."""
    rows = [
        BatchRow.of(columns)
        for columns in connection.execute(
            f"SELECT {', '.join(BATCH_COLUMNS)} FROM batches"  # noqa: S608
            " WHERE shown IN (?, ?) AND first_ms < ? LIMIT ?",
            (*_UNDER_WAY, cutoff, PORTION),
        )
    ]
    for row in rows:
        row.missing = max(0, row.size - sum(row.counts))
        shown = row.state()
        if shown is not row.shown:
            totals["batch", row.shown] -= 1
            totals["batch", shown] += 1
            row.shown = shown
            row.ended_ms = cutoff + KEEP_MS
    write_batches(connection, rows)
