"""The last hour of a line, minute by minute."""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from producer_tools.view.tables import Shown
from producer_tools.view.tally import ENDED, count_before

MINUTES = 60
_MINUTE_MS = 60_000
_MOST = 10_000
"""So many failures are counted by minute, and so many cancels. More than that count as done."""


@dataclass(frozen=True, slots=True)
class Minute:
    """What happened in one minute."""

    at_ms: int
    """When it begins."""
    completed: int
    failed: int
    cancelled: int
    unsettled: int
    """How many records waited or were under way at its end, or now if it is not over."""


def last_hour(connection: sqlite3.Connection, *, unsettled: int, now_ms: int) -> list[Minute]:
    """Return the last 60 minutes, the present one last.

    Args:
        connection: The view.
        unsettled: How many records are not settled now.
        now_ms: The present moment.
    """
    last = now_ms // _MINUTE_MS
    first = last - MINUTES + 1
    failed = _by_minute(connection, Shown.FAILED, first * _MINUTE_MS)
    cancelled = _by_minute(connection, Shown.CANCELLED, first * _MINUTE_MS)
    ended = [_ended_before(connection, minute * _MINUTE_MS) for minute in range(first, last + 2)]
    arrived = [
        _arrived_before(connection, minute * _MINUTE_MS) for minute in range(first, last + 2)
    ]
    minutes = []
    for index, minute in enumerate(range(first, last + 1)):
        others = failed[minute] + cancelled[minute]
        left = unsettled - (arrived[-1] - arrived[index + 1]) + (ended[-1] - ended[index + 1])
        minutes.append(
            Minute(
                at_ms=minute * _MINUTE_MS,
                completed=max(0, ended[index + 1] - ended[index] - others),
                failed=failed[minute],
                cancelled=cancelled[minute],
                unsettled=max(0, left),
            )
        )
    return minutes


def _by_minute(connection: sqlite3.Connection, shown: Shown, since_ms: int) -> Counter[int]:
    return Counter(
        ended_ms // _MINUTE_MS
        for batched in (0, 1)
        for ended_ms in _ends_since(connection, shown, batched, since_ms)
    )


def _ends_since(
    connection: sqlite3.Connection, shown: Shown, batched: int, since_ms: int
) -> Iterator[int]:
    """Give the ends of records in a state. The line ends them in order: the newest come first."""
    for (ended_ms,) in connection.execute(
        "SELECT ended_ms FROM records WHERE shown = ? AND batched = ? AND ended_ms IS NOT NULL"
        " ORDER BY seq DESC LIMIT ?",
        (shown, batched, _MOST),
    ):
        if ended_ms < since_ms:
            return
        yield ended_ms


def _ended_before(connection: sqlite3.Connection, ms: int) -> int:
    return count_before(connection, ENDED, ms // 1000)


def _arrived_before(connection: sqlite3.Connection, ms: int) -> int:
    """Return the number of the first record since then: records are numbered without gaps."""
    found = connection.execute(
        "SELECT seq + 1 FROM records WHERE record_ms < ?"
        " ORDER BY record_ms DESC, offset DESC LIMIT 1",
        (ms,),
    ).fetchone()
    if found is None:
        found = connection.execute("SELECT coalesce(min(seq), 0) FROM records").fetchone()
    return int(found[0])
