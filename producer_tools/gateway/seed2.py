"""Seed 2's calls: `/queue/submit`, `/job/{id}`, `/jobs`, `/stats`, `/job/{id}/cancel`."""

import uuid
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel

from producer_tools.gateway.cancelling import Cancels, Outcome
from producer_tools.gateway.common import (
    IdempotencyKey,
    UserId,
    answer,
    checked_key,
    errors,
    form_body,
    model_of,
    traceparent_of,
    user_of,
)
from producer_tools.gateway.direct import DirectCall
from producer_tools.gateway.finding import find, not_found
from producer_tools.gateway.form import Limits, read_form
from producer_tools.gateway.items import Item, find_item, show_item
from producer_tools.gateway.orders import Order
from producer_tools.gateway.parts import Parts
from producer_tools.gateway.queue import count_begun
from producer_tools.gateway.refusal import Refused, bad
from producer_tools.view.batches import BatchRow
from producer_tools.view.messages import now_ms
from producer_tools.view.queries import Queries
from producer_tools.view.rows import Row
from producer_tools.view.tables import Shown

_BODY_BYTES = 256 * 1024 * 1024
_STALLED_SECONDS = 60
_STATES = {
    "pending": (Shown.QUEUED,),
    "processing": (Shown.PROCESSING, Shown.RETRYING),
    "completed": (Shown.COMPLETED,),
    "failed": (Shown.FAILED,),
    "cancelled": (Shown.CANCELLED,),
}
_FORM = form_body(
    {
        "images": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "string", "format": "binary"},
        }
    },
    required=["images"],
)


class Queued(BaseModel):
    """A job, or a batch, that is queued."""

    job_id: str
    status: str
    job_type: str
    files_count: int
    model: str
    message: str


class Jobs(BaseModel):
    """The newest jobs, and how many there are."""

    total: int
    jobs: list[Item]


class Counts(BaseModel):
    """Jobs in each state, a batch as one."""

    pending: int
    processing: int
    completed: int
    failed: int
    cancelled: int
    total: int


class Worker(BaseModel):
    """Who works on them."""

    status: str
    active_jobs: int
    max_concurrent: int


class Stats(BaseModel):
    """How the queue is doing."""

    stats: Counts
    worker: Worker


class Cancelled(BaseModel):
    """What became of a cancel."""

    job_id: str
    status: str
    message: str


State = Literal["pending", "processing", "completed", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class _Seed2:
    parts: Parts
    cancels: Cancels

    async def submit(
        self,
        request: Request,
        model: Annotated[str | None, Query(max_length=200)] = None,
        user_id: UserId = None,
        idempotency_key: IdempotencyKey = None,
    ) -> Response:
        """Queue files: one as a job, several as a batch."""
        self.parts.check_services()
        user, key = user_of(user_id), checked_key(idempotency_key)
        name = self.parts.models.rembgs(model)
        async with read_form(request, self.parts.spool, self._limits) as form:
            uploads = [each for each in form.uploads if each.filename or each.size]
            if not uploads:
                raise bad("No images provided: send files in the field `images`.")
            batch = str(uuid.uuid4()) if len(uploads) > 1 else None
            story = await self.parts.submissions.submit(
                Order(
                    user_id=user,
                    uploads=uploads,
                    model=name,
                    batch_id=batch,
                    idempotency_key=key,
                    traceparent=traceparent_of(request),
                ),
                lambda _queries, story: story,
            )
        row = story.row
        body = Queued(
            job_id=row.batch_id or row.job_id,
            status="queued",
            job_type="single" if row.batch_id is None else "batch",
            files_count=len(uploads),
            model=model_of(story, name),
            message="Job queued successfully. Check status with /queue/job/{job_id}",
        )
        return answer(self.parts.keeper, body)

    async def job(self, job_id: str) -> Response:
        """Say what became of a job, or of a batch."""
        body = await find(self.parts.keeper, job_id, lambda queries: self._show(queries, job_id))
        if body is None:
            raise self._not_found(job_id)
        return answer(self.parts.keeper, body)

    async def jobs(
        self,
        status: Annotated[State | None, Query()] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 20,
    ) -> Response:
        """List jobs and batches, the newest first."""
        states = tuple(Shown) if status is None else _STATES[status]

        def read(queries: Queries) -> Jobs:
            page = queries.items(states, limit=limit)
            default = self.parts.models.default
            shown = [show_item(queries, item, default_model=default) for item in page.items]
            return Jobs(total=page.total, jobs=shown)

        return answer(self.parts.keeper, await self.parts.keeper.ask(read))

    async def stats(self) -> Response:
        """Say how many jobs there are in each state, and whether anyone works on them."""
        members = await self.parts.group.members()
        body = await self.parts.keeper.ask(lambda queries: self._stats(queries, members))
        return answer(self.parts.keeper, body)

    async def cancel(self, job_id: str) -> Response:
        """Cancel a job, or a batch, that has not begun."""
        item = await self._find(job_id)
        rows = [item] if isinstance(item, Row) else await self._records(item)
        waiting = [row for row in rows if row.shown is Shown.QUEUED]
        if not waiting:
            raise Refused(409, _too_late(job_id, item))
        outcome = await self.cancels.cancel(waiting)
        begun = len(rows) - len(waiting) + outcome.other
        if begun:
            raise Refused(409, _partly(job_id, outcome, begun, len(rows)))
        if outcome.open:
            message = "Job is being cancelled; whether it ends as cancelled isn't certain yet"
            body = Cancelled(job_id=job_id, status="cancelling", message=message)
            return answer(self.parts.keeper, body, status=202)
        body = Cancelled(job_id=job_id, status="cancelled", message="Job cancelled successfully")
        return answer(self.parts.keeper, body)

    @property
    def _limits(self) -> Limits:
        most = self.parts.settings.images.max_image_bytes
        files = self.parts.settings.line.queue_max_size
        return Limits(
            file_field="images",
            files=files,
            file_bytes=most,
            body_bytes=min(_BODY_BYTES, most * files),
        )

    async def _find(self, job_id: str) -> Row | BatchRow:
        """Return a job or a batch.

        Raises:
            Refused: 404, there is neither among all that there is.
        """

        def item(queries: Queries) -> Row | BatchRow | None:
            return find_item(queries, job_id)

        found: Row | BatchRow | None = await find(self.parts.keeper, job_id, item)
        if found is None:
            raise self._not_found(job_id)
        return found

    async def _records(self, batch: BatchRow) -> list[Row]:
        return await self.parts.keeper.ask(lambda queries: queries.batch_records(batch.batch_id))

    def _show(self, queries: Queries, job_id: str) -> Item | None:
        item = find_item(queries, job_id)
        if item is None:
            return None
        return show_item(queries, item, default_model=self.parts.models.default)

    def _not_found(self, job_id: str) -> Refused:
        return not_found(job_id, self.parts.settings.view.job_ttl_seconds)

    def _stats(self, queries: Queries, members: int | None) -> Stats:
        totals = queries.totals()
        items = totals.items
        shown = {name: sum(items[state] for state in states) for name, states in _STATES.items()}
        worker = Worker(
            status=_worker_status(members, queries.first_open(), totals.last_settled_ms),
            active_jobs=count_begun(queries),
            max_concurrent=self.parts.settings.line.max_in_flight,
        )
        return Stats(stats=Counts(**shown, total=sum(shown.values())), worker=worker)


def router(parts: Parts, cancels: Cancels) -> APIRouter:
    """Return the calls."""
    seed, calls = _Seed2(parts, cancels), APIRouter(prefix="/queue", tags=["seed 2"])
    calls.add_api_route(
        "/submit",
        seed.submit,
        methods=["POST"],
        response_model=Queued,
        responses=errors(400, 403, 409, 429),
        openapi_extra=_FORM,
    )
    calls.add_api_route("/job/{job_id}", seed.job, response_model=Item, responses=errors(400, 404))
    calls.add_api_route("/jobs", seed.jobs, response_model=Jobs, responses=errors(400))
    calls.add_api_route("/stats", seed.stats, response_model=Stats, responses=errors())
    calls.add_api_route(
        "/job/{job_id}/cancel",
        seed.cancel,
        methods=["POST"],
        response_model=Cancelled,
        responses={
            202: {"model": Cancelled, "description": "It isn't certain yet."},
            **errors(400, 403, 404, 409),
        },
    )
    return calls


def direct_calls(parts: Parts, cancels: Cancels) -> list[DirectCall]:
    """Return the call that comes by the hundred."""
    return [DirectCall("/queue/job/{job_id}", _Seed2(parts, cancels).job)]


def _too_late(job_id: str, item: Row | BatchRow) -> str:
    state = item.shown.name.lower()
    begun = item.shown in (Shown.PROCESSING, Shown.RETRYING)
    why = "it has begun" if begun else f"it has ended as {state}"
    return f"Job {job_id} can't be cancelled: {why}."


def _partly(job_id: str, outcome: Outcome, begun: int, of: int) -> str:
    if of == 1:
        return f"Job {job_id} can't be cancelled: it has begun or ended."
    return (
        f"Job {job_id} can't be cancelled as a whole: {begun} of its {of} images had begun or"
        f" ended. {outcome.cancelled} were cancelled."
    )


def _worker_status(members: int | None, first: Row | None, last_settled_ms: int | None) -> str:
    if members == 0:
        return "stopped"
    since = max(first.record_ms if first else 0, last_settled_ms or 0)
    stalled = first is not None and now_ms() - since > _STALLED_SECONDS * 1000
    return "stalled" if stalled else "running"
