"""Cancels jobs, and says of each what is certain."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from consumer.settings import KafkaSettings
from producer_tools.client.cancels import write_cancels
from producer_tools.client.line import group_members
from producer_tools.view.queries import Queries
from producer_tools.view.rows import Row
from producer_tools.view.tables import Shown
from producer_tools.view.view import View

WAIT_SECONDS = 10.0
"""How long a job that is near its turn, or has begun, is waited for."""
_NEAR_SECONDS = 5.0
_RATE_SECONDS = 60
_LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one record."""

    record: Row
    """The record as it was before."""
    result: str
    """`cancelled`, `cancelling` if that isn't certain yet, or the state in which it has ended."""

    @property
    def was(self) -> str:
        """Its state before."""
        return self.record.shown.name.lower()


async def cancel_records(
    settings: KafkaSettings,
    view: View,
    records: Sequence[Row],
    *,
    max_in_flight: int,
    reason: str | None = None,
    wait_seconds: float = WAIT_SECONDS,
) -> list[Verdict]:
    """Cancel the records that have not ended: all in one transaction, the last one first.

    A job that waits behind enough others, or while no consumer is there, is certainly cancelled.
    The others are waited for, `wait_seconds` at most.

    Raises:
        ServiceError: Kafka can't be reached.
        ViewError: The view can't be used.
    """
    open_records = sorted(
        (record for record in records if not record.shown.ended),
        key=lambda record: -record.offset,
    )
    if open_records:
        jobs = list(dict.fromkeys(record.job_id for record in open_records))
        certain = await _certain_place(settings, view, max_in_flight)
        await write_cancels(settings, jobs, reason=reason)
        places = await view.ask(
            lambda queries: {each.offset: queries.position(each) or 0 for each in open_records}
        )
        near = [each.offset for each in open_records if places[each.offset] <= certain]
        await _wait(view, near, wait_seconds)
    return await view.ask(lambda queries: [_verdict(queries, record) for record in records])


async def _certain_place(settings: KafkaSettings, view: View, max_in_flight: int) -> float:
    """Return the place in the queue behind which a job can't begin before its cancel is read."""
    if await group_members(settings) == 0:
        return 0  # whoever joins reads all cancels before it begins
    return await view.ask(lambda queries: max_in_flight + _NEAR_SECONDS * _rate(queries))


def _rate(queries: Queries) -> float:
    """Return how many records ended lately, each second."""
    now = int(time.time() * 1000)
    ended = queries.ended_before(now) - queries.ended_before(now - _RATE_SECONDS * 1000)
    return ended / _RATE_SECONDS


async def _wait(view: View, offsets: Sequence[int], seconds: float) -> None:
    """Fold until these records are settled, or the time is up."""

    def unsettled(queries: Queries) -> bool:
        stories = (queries.record(offset) for offset in offsets)
        return any(story is not None and not story.row.settled for story in stories)

    end = time.monotonic() + seconds
    await view.catch_up()
    while time.monotonic() < end and await view.ask(unsettled):
        await asyncio.sleep(_LOOK_SECONDS)
        await view.catch_up()


def _verdict(queries: Queries, record: Row) -> Verdict:
    story = queries.record(record.offset)
    shown = record.shown if story is None else story.row.shown
    if shown.ended:
        return Verdict(record, Shown(shown).name.lower())
    return Verdict(record, "cancelling")
