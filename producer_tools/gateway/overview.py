"""`/api/v1/overview`: all that the live page shows of a line, of one moment."""

import asyncio
import time
from dataclasses import asdict, dataclass, field
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from producer_tools.gateway.common import age, errors
from producer_tools.gateway.job_facts import JobFacts, jobs, moment
from producer_tools.gateway.parts import Parts
from producer_tools.view.queries import Queries, Totals
from producer_tools.view.tables import Shown

KEPT_SECONDS = 0.5
"""So long one overview answers all who ask."""
STALLED_SECONDS = 60
_MOST_BEGUN, _MOST_NEXT, _MOST_ENDED = 32, 8, 12
_BEGUN = (Shown.PROCESSING, Shown.RETRYING)


class LineState(BaseModel):
    """How the line is: `running`, `held`, `halted`, `stalled` or `stopped`."""

    state: str
    reason: str | None = None
    """What it waits for, in the words of the consumer."""
    code: str | None = None
    since: str | None = None


class Limits(BaseModel):
    """How many jobs there may be."""

    queue_max: int
    in_flight: int


class Counts(BaseModel):
    """How many jobs wait and are under way, and what became of others within the last hour."""

    queued: int
    begun: int
    completed: int
    failed: int
    cancelled: int


class MinuteFacts(BaseModel):
    """What happened in one minute. `unsettled`: how many weren't settled at its end."""

    at: str
    completed: int
    failed: int
    cancelled: int
    unsettled: int


class Overview(BaseModel):
    """A line at one moment."""

    now: str
    open: bool
    """Whether anybody may call: `API_KEYS` is unset."""
    events_before: int
    """It has the events before this offset of the status topic."""
    line: LineState
    limits: Limits
    counts: Counts
    last_settled_at: str | None
    begun: list[JobFacts]
    next: list[JobFacts]
    completed: list[JobFacts]
    failed: list[JobFacts]
    minutes: list[MinuteFacts]


@dataclass(slots=True)
class _Overviews:
    parts: Parts
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)
    latest: dict[str, Any] = field(default_factory=dict)
    latest_at: float = -KEPT_SECONDS

    async def overview(self) -> JSONResponse:
        """Say how the line is, what waits, what is under way, and what lately ended."""
        self.parts.keeper.check()
        async with self.asking:  # many pages ask at the same time
            if time.monotonic() - self.latest_at > KEPT_SECONDS:
                members, halted_after = (
                    await self.parts.group.members(),
                    await self.parts.halts.after(),
                )
                found = await self.parts.keeper.ask(self._look)
                if halted_after is not None:
                    found.line = _halted(halted_after)
                elif members == 0:
                    found.line = LineState(state="stopped")
                self.latest, self.latest_at = found.model_dump(mode="json"), time.monotonic()
        now = {"now": moment(_now_ms())}
        return JSONResponse(self.latest | now, headers=dict(age(self.parts.keeper)))

    def _look(self, queries: Queries) -> Overview:
        now_ms, settings = _now_ms(), self.parts.settings
        totals = queries.totals()
        minutes = queries.last_hour(totals, now_ms)
        return Overview(
            now=str(moment(now_ms)),
            open=not settings.gateway.keys,
            events_before=queries.positions().get(settings.kafka.status_topic, 0),
            line=self._line(queries, totals, now_ms),
            limits=Limits(
                queue_max=settings.line.queue_max_size, in_flight=settings.line.max_in_flight
            ),
            counts=Counts(
                queued=totals.records[Shown.QUEUED],
                begun=sum(totals.records[shown] for shown in _BEGUN),
                completed=sum(minute.completed for minute in minutes),
                failed=sum(minute.failed for minute in minutes),
                cancelled=sum(minute.cancelled for minute in minutes),
            ),
            last_settled_at=moment(totals.last_settled_ms),
            begun=jobs(queries, queries.page(_BEGUN, limit=_MOST_BEGUN).rows),
            next=jobs(queries, queries.next_up(_MOST_NEXT)),
            completed=jobs(queries, queries.page((Shown.COMPLETED,), limit=_MOST_ENDED).rows),
            failed=jobs(queries, queries.page((Shown.FAILED,), limit=_MOST_ENDED).rows),
            minutes=[
                MinuteFacts(
                    at=str(moment(minute.at_ms)),
                    **{name: n for name, n in asdict(minute).items() if name != "at_ms"},
                )
                for minute in minutes
            ],
        )

    def _line(self, queries: Queries, totals: Totals, now_ms: int) -> LineState:
        row = queries.first_begun()
        held = queries.record(row.offset) if row and row.shown is Shown.RETRYING else None
        if held is not None and held.error is not None:
            code, reason = held.error
            since = moment(held.row.begun_ms)
            return LineState(state="held", code=code, reason=reason, since=since)
        silent = now_ms - (totals.last_settled_ms or 0) > STALLED_SECONDS * 1000
        return LineState(state="stalled" if totals.unsettled and silent else "running")


def router(parts: Parts) -> APIRouter:
    """Return the call."""
    calls = APIRouter(prefix="/api/v1", tags=["page"])
    calls.add_api_route(
        "/overview",
        _Overviews(parts).overview,
        response_model=Overview,
        responses=errors(),
    )
    return calls


def _halted(after: int) -> LineState:
    reason = (
        f"Too many dead letters in a row: nothing behind offset {after} is settled."
        " Mend what they name, then run: maskline resume"
    )
    return LineState(state="halted", reason=reason)


def _now_ms() -> int:
    return int(time.time() * 1000)
