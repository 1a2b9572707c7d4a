"""Cancels as the gateway answers them: what is certain at once, or becomes so within seconds."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from consumer.settings import KafkaSettings
from producer_tools.client.cancels import write_cancels
from producer_tools.client.line import group_members
from producer_tools.errors import InvalidJobError, ServiceError
from producer_tools.gateway.keeper import Keeper
from producer_tools.gateway.queue import seconds_per_record
from producer_tools.gateway.refusal import unavailable
from producer_tools.view.queries import Queries
from producer_tools.view.rows import Row
from producer_tools.view.tables import Shown

WAIT_SECONDS = 10.0
_NEAR_SECONDS = 5.0
_SLOW_SECONDS = 2.0
"""After a write that took longer, what was far away may be near."""
_LOOK_SECONDS = 0.1
_WRITE_SECONDS = 8.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the records of a cancel."""

    cancelled: int
    other: int
    """So many began or ended before it."""
    open: int
    """Of so many it isn't certain yet."""


class Cancels:
    """Writes cancels. Those that come while one is written go together into the next."""

    def __init__(self, settings: KafkaSettings, keeper: Keeper, *, max_in_flight: int) -> None:
        self._settings = settings
        self._keeper = keeper
        self._max_in_flight = max_in_flight
        self._waiting: list[tuple[Sequence[str], asyncio.Future[int]]] = []
        self._writing: asyncio.Task[None] | None = None

    def renew(self, settings: KafkaSettings) -> None:
        """Reach Kafka by these settings from now on."""
        self._settings = settings

    async def cancel(self, rows: Sequence[Row]) -> Outcome:
        """Cancel records that wait, the last first, and return what became of them.

        Raises:
            Refused: Kafka failed. They may be cancelled, all or none.
        """
        end = time.monotonic() + WAIT_SECONDS
        order = sorted(rows, key=lambda row: -row.offset)
        near = await self._keeper.ask(lambda queries: self._near(queries, order))
        began = time.monotonic()
        members = await self._write([row.job_id for row in order])
        await self._keeper.catch_up()
        if time.monotonic() - began > _SLOW_SECONDS:
            near = {row.offset for row in order}
        if members == 0:
            near = set()  # whoever joins reads all cancels before it begins
        found = await self._keeper.ask(lambda queries: _read(queries, order))
        while time.monotonic() < end and any(
            not row.settled and (row.offset in near or row.shown is not Shown.CANCELLED)
            for row in found
        ):
            await asyncio.sleep(_LOOK_SECONDS)
            found = await self._keeper.ask(lambda queries: _read(queries, order))
        return _outcome(found, near)

    def _near(self, queries: Queries, rows: Sequence[Row]) -> set[int]:
        """Return the records that may begin before their cancel is read."""
        each = seconds_per_record(queries)
        before = float("inf") if not each else self._max_in_flight + _NEAR_SECONDS / each
        places = {row.offset: queries.position(row) or 0 for row in rows}
        return {offset for offset, place in places.items() if place - 1 <= before}

    async def _write(self, jobs: Sequence[str]) -> int:
        """Write cancels, and return how many consumers there are afterwards."""
        written: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append((jobs, written))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_all(), name="cancels.write")
        try:
            async with asyncio.timeout(_WRITE_SECONDS):
                return await written
        except TimeoutError:
            raise unavailable("Kafka doesn't answer; the cancel may be written yet.") from None

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                waiting, self._waiting = self._waiting, []
                jobs = list(dict.fromkeys(job for jobs, _ in waiting for job in jobs))
                try:
                    await write_cancels(self._settings, jobs)
                    members = await group_members(self._settings)
                except (ServiceError, InvalidJobError, ValueError) as error:
                    for _, written in waiting:
                        if not written.done():
                            written.set_exception(unavailable(str(error)))
                    continue
                for _, written in waiting:
                    if not written.done():
                        written.set_result(members)
        finally:
            self._writing = None


def _read(queries: Queries, rows: Sequence[Row]) -> list[Row]:
    stories = (queries.record(row.offset) for row in rows)
    return [story.row for story in stories if story is not None]


def _outcome(rows: Sequence[Row], near: set[int]) -> Outcome:
    cancelled = other = 0
    for row in rows:
        if row.shown is Shown.CANCELLED and (row.settled or row.offset not in near):
            cancelled += 1
        elif row.shown.ended and row.settled:
            other += 1
    return Outcome(cancelled, other, len(rows) - cancelled - other)
