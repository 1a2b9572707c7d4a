"""Places in the queue: never more than `QUEUE_MAX_SIZE`, and when each begins."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from producer_tools.gateway.keeper import Keeper
from producer_tools.gateway.refusal import Refused, bad
from producer_tools.view.queries import Queries
from producer_tools.view.rows import Row
from producer_tools.view.tables import Shown

_RETRY_AFTER = 5
_UNKNOWN_SECONDS = 30.0
"""A record whose append failed may come to the topic yet: its place is kept for so long."""
_LATELY_SECONDS = 600
_LATELY_RECORDS = 30


@dataclass(eq=False, slots=True)
class Taken:
    """Places of a submit that the view may not show yet."""

    count: int
    sent: bool = False
    """Whether its records may be in the topic."""
    end: int | None = None
    """The offset behind its last record. None: it isn't known."""


class Places:
    """The places of the queue, as one gateway gives them out."""

    def __init__(self, keeper: Keeper, *, jobs_topic: str, most: int) -> None:
        self._keeper = keeper
        self._jobs_topic = jobs_topic
        self._most = most
        self._taken: set[Taken] = set()
        self._asking = asyncio.Lock()

    @asynccontextmanager
    async def take(self, count: int) -> AsyncIterator[Taken]:
        """Keep so many places while the block lasts: all of them or none.

        Raises:
            Refused: 429, there aren't so many; 400, there never are.
        """
        if count > self._most:
            raise bad(f"Too many images ({count}). The queue holds {self._most} jobs at most.")
        taken = await self._take(count)
        try:
            yield taken
        except BaseException:
            if not taken.sent:
                self._taken.discard(taken)
            elif taken.end is None:
                loop = asyncio.get_running_loop()
                loop.call_later(_UNKNOWN_SECONDS, self._taken.discard, taken)
            raise

    async def _take(self, count: int) -> Taken:
        async with self._asking:  # so that no other takes the same places
            read, unsettled = await self._keeper.ask(self._standing)
            for each in list(self._taken):
                if each.end is not None and each.end <= read:
                    self._taken.discard(each)
            if unsettled + sum(each.count for each in self._taken) + count > self._most:
                raise Refused(
                    429,
                    f"Queue is full (maximum {self._most} jobs). Please try again later.",
                    retry_after=_RETRY_AFTER,
                )
            taken = Taken(count)
            self._taken.add(taken)
            return taken

    def _standing(self, queries: Queries) -> tuple[int, int]:
        """Return how far the view has read, and how many records aren't settled there."""
        return queries.positions().get(self._jobs_topic, 0), queries.totals().unsettled


def estimated_wait(queries: Queries, position: int, *, max_in_flight: int) -> int | None:
    """Return in how many seconds a record at this place begins. None: nothing tells.

    It begins when so many before it have ended that a place among those under way is free.
    """
    each = seconds_per_record(queries)
    if each is None:
        return None
    begun = count_begun(queries)
    return math.ceil(each * max(0, position - max(0, max_in_flight - begun)))


def count_begun(queries: Queries) -> int:
    """Return how many records are under way."""
    records = queries.totals().records
    return records[Shown.PROCESSING] + records[Shown.RETRYING]


def seconds_per_record(queries: Queries, now: Callable[[], float] = time.time) -> float | None:
    """Return the line's pace, from what it lately settled. None: it has settled nothing.

    The time in which there was nothing to do doesn't count.
    """
    rows = queries.page((Shown.COMPLETED, Shown.FAILED), limit=_LATELY_RECORDS).rows
    since = round((now() - _LATELY_SECONDS) * 1000)
    ended = sorted(
        ((row.ended_ms, row) for row in rows if row.settled and (row.ended_ms or 0) >= since),
        key=lambda pair: pair[0] or 0,
    )
    spent, before = 0, None
    for end, row in ended:
        began = _could_begin(row) if before is None else max(before, row.record_ms)
        spent += max(0, (end or 0) - began)
        before = end
    return spent / len(ended) / 1000 if ended else None


def _could_begin(row: Row) -> int:
    return row.begun_ms or row.record_ms
