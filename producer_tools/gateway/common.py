"""What several calls have in common: their errors, the caller's name, times, a job's model."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Header, Request, Response
from pydantic import BaseModel

from producer_tools.gateway.keeper import Keeper
from producer_tools.gateway.refusal import bad
from producer_tools.view.queries import Story
from schemas.trace_context import HEADER, traceparent

ANONYMOUS = "anonymous"
_LONGEST_USER = 256
_LONGEST_KEY = 200


class Detail(BaseModel):
    """Why a request isn't served."""

    detail: str


_SENTENCES = {
    400: "The input is wrong",
    401: "The key is missing or wrong",
    403: "The request comes from another site",
    404: "There is no such job",
    409: "It is too late, or contradicts an earlier request",
    422: "The file is no image",
    429: "The queue is full",
    503: "A service is away, or the view is behind",
    507: "A disk is full",
}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe the errors of a call, for OpenAPI."""
    return {
        status: {"model": Detail, "description": _SENTENCES[status]}
        for status in sorted({401, 503, 507, *statuses})
    }


def form_body(properties: Mapping[str, Any], *, required: Sequence[str]) -> dict[str, Any]:
    """Describe a call's multipart form, for OpenAPI: the gateway reads bodies itself."""
    schema = {"type": "object", "required": list(required), "properties": properties}
    content = {"multipart/form-data": {"schema": schema}}
    return {"requestBody": {"required": True, "content": content}}


UserId = Annotated[str | None, Header(alias="X-User-Id", description="A label, no proof.")]
IdempotencyKey = Annotated[
    str | None,
    Header(description="The same key within a day gets the first job, and queues nothing more."),
]


def user_of(given: str | None) -> str:
    """Return the caller's name.

    Raises:
        Refused: It is too long.
    """
    if given and len(given) > _LONGEST_USER:
        raise bad(f"X-User-Id has more than {_LONGEST_USER} characters.")
    return given or ANONYMOUS


def checked_key(given: str | None) -> str | None:
    """Return an Idempotency-Key.

    Raises:
        Refused: It is too long.
    """
    if given and len(given) > _LONGEST_KEY:
        raise bad(f"Idempotency-Key has more than {_LONGEST_KEY} characters.")
    return given or None


def traceparent_of(request: Request) -> str | None:
    """Return the trace context of a request. None: it has none that is valid."""
    return traceparent([(HEADER, request.headers.get(HEADER, "").encode())])


def answer(keeper: Keeper, body: BaseModel, *, status: int = 200) -> Response:
    """Return an answer from the view, which says its age."""
    return Response(
        body.model_dump_json(),
        status_code=status,
        headers=age(keeper),
        media_type="application/json",
    )


def age(keeper: Keeper) -> Mapping[str, str]:
    """Return the header that says how old the view is."""
    return {"Age": str(math.floor(keeper.age)), "Cache-Control": "no-store"}


def to_seconds(ms: int | None) -> str | None:
    """Write a point in time in UTC without zone, as seed 3 does."""
    return None if ms is None else _utc(ms).strftime("%Y-%m-%dT%H:%M:%S")


def to_microseconds(ms: int | None) -> str | None:
    """Write a point in time in UTC without zone, as seed 2 does."""
    return None if ms is None else _utc(ms).strftime("%Y-%m-%dT%H:%M:%S.%f")


def compact(ms: int) -> str:
    """Write a point in time as a file's name has it."""
    return _utc(ms).strftime("%Y%m%d_%H%M%S")


def model_of(story: Story, default: str) -> str:
    """Return the model of a job: the one that made the masks, or is going to."""
    if story.event is not None and story.event.model is not None:
        return story.event.model.name
    return str(story.job.get("model") or default)


def _utc(ms: int) -> datetime:
    try:
        return datetime.fromtimestamp(ms / 1000, UTC)
    except (OverflowError, ValueError, OSError):  # a producer's clock may be set to any year
        return datetime.fromtimestamp(0, UTC)
