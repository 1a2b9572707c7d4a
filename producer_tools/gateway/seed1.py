"""Seed 1's calls: `/process`, `/health`, `/stats`."""

from dataclasses import dataclass

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from producer_tools.gateway.common import answer, checked_key, errors, form_body, traceparent_of
from producer_tools.gateway.form import Form, Limits, read_form
from producer_tools.gateway.orders import Order
from producer_tools.gateway.parts import Parts
from producer_tools.gateway.photos import look_at
from producer_tools.gateway.refusal import Refused, bad
from producer_tools.view.queries import Queries
from producer_tools.view.tables import Shown

_PROVIDER = "qwen"
_FIELDS = ("user_image", "user_id", "job_id", "provider")
_FORM = form_body(
    {
        "user_image": {"type": "string", "format": "binary"},
        "user_id": {"type": "string", "minLength": 1, "maxLength": 256},
        "job_id": {"type": "string", "pattern": "^[A-Za-z0-9._:-]{1,128}$"},
        "provider": {"type": "string", "enum": [_PROVIDER]},
    },
    required=_FIELDS,
)


class Accepted(BaseModel):
    """A job that is queued."""

    status: str
    queued: bool
    job_id: str
    message: str


class Stats(BaseModel):
    """How the line is doing, in photos."""

    queue_max: int
    queue_current: int
    workers: int
    jobs_processed: int
    uptime_sec: int


@dataclass(frozen=True, slots=True)
class _Seed1:
    parts: Parts

    async def process(self, request: Request) -> Response:
        """Queue a photo under the caller's own `job_id`."""
        self.parts.check_services()
        key = checked_key(request.headers.get("Idempotency-Key"))
        most = self.parts.settings.images.max_image_bytes
        limits = Limits(file_field="user_image", files=1, file_bytes=most, body_bytes=most)
        async with read_form(request, self.parts.spool, limits) as form:
            _check_fields(form)
            await self._check_image(form)
            job_id = await self.parts.submissions.submit(
                Order(
                    user_id=form.texts["user_id"],
                    uploads=form.uploads,
                    job_id=form.texts["job_id"],
                    idempotency_key=key,
                    traceparent=traceparent_of(request),
                ),
                lambda _queries, story: story.row.job_id,
            )
        body = Accepted(
            status="accepted",
            queued=True,
            job_id=job_id,
            message="Job added to Qwen mask queue",
        )
        return answer(self.parts.keeper, body)

    async def stats(self) -> Response:
        """Say how the line is doing."""
        return answer(self.parts.keeper, await self.parts.keeper.ask(self._stats))

    async def _check_image(self, form: Form) -> None:
        images = self.parts.settings.images
        picture = await look_at(form.uploads[0].content)
        if picture is None:
            raise Refused(422, "The file is no image.")
        if picture.format not in images.image_formats:
            allowed = ", ".join(images.image_formats)
            raise bad(f"Invalid image format ({picture.format}). Allowed: {allowed}.")
        if picture.width * picture.height > images.max_image_pixels:
            size = f"{picture.width}x{picture.height}px"
            most = f"{images.max_image_pixels} pixels"
            raise bad(f"Image too large ({size}). Maximum {most} allowed.")

    def _stats(self, queries: Queries) -> Stats:
        totals = queries.totals()
        line = self.parts.settings.line
        return Stats(
            queue_max=line.queue_max_size,
            queue_current=totals.unsettled,
            workers=line.worker_count,
            jobs_processed=totals.records[Shown.COMPLETED] + totals.records[Shown.FAILED],
            uptime_sec=self.parts.uptime_seconds,
        )


def router(parts: Parts) -> APIRouter:
    """Return the calls."""
    seed, calls = _Seed1(parts), APIRouter(tags=["seed 1"])
    calls.add_api_route(
        "/process",
        seed.process,
        methods=["POST"],
        response_model=Accepted,
        responses=errors(400, 403, 409, 422, 429),
        openapi_extra=_FORM,
    )
    calls.add_api_route("/stats", seed.stats, response_model=Stats, responses=errors())
    return calls


def _check_fields(form: Form) -> None:
    given = {name for name, text in form.texts.items() if text}
    if form.uploads and (form.uploads[0].size or form.uploads[0].filename):
        given.add("user_image")
    missing = [name for name in _FIELDS if name not in given]
    if missing:
        raise bad(f"Missing input fields: {', '.join(missing)}.")
    if form.texts["provider"] != _PROVIDER:
        raise bad(f"The provider must be {_PROVIDER}.")
