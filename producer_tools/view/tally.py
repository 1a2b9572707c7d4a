"""Counts of many things on a line of numbers: how many come before one is answered at any size.

The numbers are in buckets of 256, those in buckets of 256, and so on. A question adds up a few
hundred counts, whether there are a thousand things or ten million.
"""

import sqlite3
from collections import Counter

QUEUED = "queued"
"""Queued records, by their sequence number shifted right by `SHIFT`."""
ENDED = "ended"
"""Ended records, by the second of their end."""

SHIFT = 8
_LEVELS = (1, 2, 3, 4)


class TallyChanges:
    """Changes of one transaction, added up before they are written."""

    def __init__(self) -> None:
        self._changes: Counter[tuple[str, int, int]] = Counter()

    def add(self, kind: str, bucket: int, n: int) -> None:
        """Count `n` more things in a bucket of the lowest level."""
        self._changes[kind, 1, bucket] += n

    def write(self, connection: sqlite3.Connection) -> None:
        """Write them on all levels."""
        total: Counter[tuple[str, int, int]] = Counter()
        for (kind, _, bucket), n in self._changes.items():
            if n:
                for level in _LEVELS:
                    total[kind, level, bucket >> (SHIFT * (level - 1))] += n
        connection.executemany(
            "INSERT INTO tallies VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n",
            [(*key, n) for key, n in total.items() if n],
        )
        self._changes.clear()


def count_before(connection: sqlite3.Connection, kind: str, bucket: int) -> int:
    """Return how many things are in the buckets before this one."""
    count = 0
    for level in _LEVELS:
        first = (bucket >> SHIFT) << SHIFT if level < _LEVELS[-1] else 0
        (n,) = connection.execute(
            "SELECT coalesce(sum(n), 0) FROM tallies"
            " WHERE kind = ? AND level = ? AND bucket >= ? AND bucket < ?",
            (kind, level, first, bucket),
        ).fetchone()
        count += n
        bucket >>= SHIFT
    return count


def second(milliseconds: int) -> int:
    """Return the bucket of an end. A clock may be set to any year."""
    return max(milliseconds, 0) // 1000
