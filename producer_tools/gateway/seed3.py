"""Seed 3's calls: `/api/v1/submit`, `/status/{id}`, `/queue`, `/health`, `/load-model`."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel

from producer_tools.gateway.common import (
    IdempotencyKey,
    UserId,
    answer,
    checked_key,
    errors,
    form_body,
    model_of,
    to_seconds,
    traceparent_of,
    user_of,
)
from producer_tools.gateway.direct import DirectCall
from producer_tools.gateway.finding import find, is_gone, not_found, result_name
from producer_tools.gateway.form import Form, Limits, read_form
from producer_tools.gateway.orders import Order
from producer_tools.gateway.parts import Parts
from producer_tools.gateway.photos import LARGEST_SIDE, look_at
from producer_tools.gateway.queue import estimated_wait
from producer_tools.gateway.refusal import bad
from producer_tools.view.messages import now_ms
from producer_tools.view.queries import Queries, Story
from producer_tools.view.tables import Shown

_INSTRUCTION, _SYSTEM_PROMPT = 500, 4000
_SHOWN = {
    Shown.QUEUED: "queued",
    Shown.PROCESSING: "processing",
    Shown.RETRYING: "processing",
    Shown.COMPLETED: "completed",
    Shown.FAILED: "failed",
    Shown.CANCELLED: "cancelled",
}
_FORM = form_body(
    {
        "image": {"type": "string", "format": "binary"},
        "instruction": {"type": "string", "minLength": 1, "maxLength": 500},
        "seed": {"type": "integer", "format": "int64"},
        "system_prompt": {"type": "string", "maxLength": 4000},
        "model": {"type": "string"},
    },
    required=["image", "instruction"],
)


class Submitted(BaseModel):
    """A job that is queued."""

    job_id: str
    status: str
    position: int
    message: str
    estimated_wait_seconds: int | None


class Status(BaseModel):
    """What became of a job."""

    job_id: str
    status: str
    position: int | None
    created_at: str
    started_at: str | None
    completed_at: str | None
    result_path: str | None
    result_seed: int | None
    error: str | None
    instruction: str | None
    model: str


class QueueStatus(BaseModel):
    """The queue, in photos."""

    queue_size: int
    max_queue_size: int
    queued_count: int
    processing_count: int
    completed_count: int
    failed_count: int
    current_job_id: str | None
    total_jobs: int


class Loaded(BaseModel):
    """A model that jobs can name."""

    status: str
    model: str
    message: str


@dataclass(frozen=True, slots=True)
class _Seed3:
    parts: Parts

    @property
    def limits(self) -> Limits:
        most = self.parts.settings.gateway.upload_max_bytes
        return Limits(file_field="image", files=1, file_bytes=most, body_bytes=most)

    async def submit(
        self, request: Request, user_id: UserId = None, idempotency_key: IdempotencyKey = None
    ) -> Response:
        """Queue a photo."""
        self.parts.check_services()
        user, key = user_of(user_id), checked_key(idempotency_key)
        async with read_form(request, self.parts.spool, self.limits) as form:
            model, metadata = self._texts(form)
            await self._check_image(form)
            body = await self.parts.submissions.submit(
                Order(
                    user_id=user,
                    uploads=form.uploads,
                    model=model,
                    metadata=metadata,
                    idempotency_key=key,
                    traceparent=traceparent_of(request),
                ),
                self._submitted,
            )
        return answer(self.parts.keeper, body)

    async def status(self, job_id: str) -> Response:
        """Say what became of a job."""

        def show(queries: Queries) -> Status | None:
            story = queries.job(job_id)
            gone = story is None or is_gone(story, self._ttl)
            return None if story is None or gone else self._status(queries, story)

        body = await find(self.parts.keeper, job_id, show)
        if body is None:
            raise not_found(job_id, self._ttl)
        return answer(self.parts.keeper, body)

    async def queue(self) -> Response:
        """Say how full the queue is."""
        return answer(self.parts.keeper, await self.parts.keeper.ask(self._queue))

    async def load_model(self, model: Annotated[str, Query(max_length=200)]) -> Response:
        """Say how to choose a model. All installed ones are warm."""
        name = self.parts.models.named(model)
        message = f"Model {name} is loaded, as all installed ones are. Send model={name} to submit."
        return answer(self.parts.keeper, Loaded(status="loaded", model=name, message=message))

    @property
    def _ttl(self) -> int:
        return self.parts.settings.view.job_ttl_seconds

    def _texts(self, form: Form) -> tuple[str | None, dict[str, Any]]:
        texts = form.texts
        instruction = texts.get("instruction", "")
        if not 1 <= len(instruction) <= _INSTRUCTION:
            raise bad(f"The instruction must have 1 to {_INSTRUCTION} characters.")
        prompt = texts.get("system_prompt")
        if prompt and len(prompt) > _SYSTEM_PROMPT:
            raise bad(f"The system_prompt has more than {_SYSTEM_PROMPT} characters.")
        metadata = {
            "instruction": instruction,
            "seed": _seed(texts.get("seed")),
            "system_prompt": prompt or None,
        }
        given = texts.get("model")
        model = self.parts.models.named(given) if given else None
        return model, {name: value for name, value in metadata.items() if value is not None}

    async def _check_image(self, form: Form) -> None:
        if not form.uploads or not form.uploads[0].size:
            raise bad("An image is required: a file in the field `image`.")
        picture = await look_at(form.uploads[0].content)
        if picture is None or picture.format not in ("JPEG", "PNG"):
            raise bad("Invalid image format. JPG and PNG are allowed.")
        side = self.parts.settings.gateway.upload_max_side
        if max(picture.width, picture.height) > side:
            size = f"{picture.width}x{picture.height}px"
            found = f"more than {side}x{side}px" if picture.width == LARGEST_SIDE else size
            raise bad(f"Image too large ({found}). Maximum {side}x{side}px allowed.")

    def _submitted(self, queries: Queries, story: Story) -> Submitted:
        position = queries.position(story.row) or 1  # it may have begun already
        wait = None
        if story.row.shown is Shown.QUEUED:
            most = self.parts.settings.line.max_in_flight
            wait = estimated_wait(queries, position, max_in_flight=most)
        return Submitted(
            job_id=story.row.job_id,
            status="queued",
            position=position,
            message=f"Job queued successfully. Position: {position}",
            estimated_wait_seconds=wait,
        )

    def _status(self, queries: Queries, story: Story) -> Status:
        row, metadata = story.row, story.job.get("metadata", {})
        model = model_of(story, self.parts.models.default)
        done = row.shown is Shown.COMPLETED
        error = story.error if row.shown is Shown.FAILED else None
        return Status(
            job_id=row.job_id,
            status=_SHOWN[row.shown],
            position=queries.position(row),
            created_at=to_seconds(_created(story)) or "",
            started_at=to_seconds(row.begun_ms),
            completed_at=to_seconds(row.ended_ms),
            result_path=result_name(story, model) if done else None,
            result_seed=_result_seed(metadata) if done else None,
            error=error[1] if error else None,
            instruction=metadata.get("instruction"),
            model=model,
        )

    def _queue(self, queries: Queries) -> QueueStatus:
        totals = queries.totals()
        records = totals.records
        first = queries.first_begun()
        gone = queries.ended_before(now_ms() - self._ttl * 1000)
        return QueueStatus(
            queue_size=totals.unsettled,
            max_queue_size=self.parts.settings.line.queue_max_size,
            queued_count=records[Shown.QUEUED],
            processing_count=records[Shown.PROCESSING] + records[Shown.RETRYING],
            completed_count=records[Shown.COMPLETED],
            failed_count=records[Shown.FAILED],
            current_job_id=first.job_id if first else None,
            total_jobs=sum(records.values()) - gone,
        )


def router(parts: Parts) -> APIRouter:
    """Return the calls."""
    seed, calls = _Seed3(parts), APIRouter(prefix="/api/v1", tags=["seed 3"])
    calls.add_api_route(
        "/submit",
        seed.submit,
        methods=["POST"],
        response_model=Submitted,
        responses=errors(400, 403, 409, 429),
        openapi_extra=_FORM,
    )
    calls.add_api_route(
        "/status/{job_id}", seed.status, response_model=Status, responses=errors(400, 404)
    )
    calls.add_api_route("/queue", seed.queue, response_model=QueueStatus, responses=errors())
    calls.add_api_route(
        "/load-model",
        seed.load_model,
        methods=["POST"],
        response_model=Loaded,
        responses=errors(400, 403),
    )
    return calls


def direct_calls(parts: Parts) -> list[DirectCall]:
    """Return the call that comes by the hundred."""
    return [DirectCall("/api/v1/status/{job_id}", _Seed3(parts).status)]


def _created(story: Story) -> int:
    return story.row.submitted_ms or story.row.record_ms


def _seed(given: str | None) -> int | None:
    if not given:
        return None
    try:
        seed = int(given)
    except ValueError:
        seed = 2**63
    if not given.isascii() or "_" in given or not -(2**63) <= seed < 2**63:
        raise bad("The seed must be a whole number of 64 bits.")
    return seed


def _result_seed(metadata: dict[str, Any]) -> int | None:
    seed = metadata.get("seed")
    return seed if isinstance(seed, int) and not isinstance(seed, bool) else None
