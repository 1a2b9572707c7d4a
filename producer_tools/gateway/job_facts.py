"""Jobs as the live page is told of them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel

from producer_tools.view.queries import Queries, Story
from producer_tools.view.rows import Row
from schemas.timestamp import timestamp_text

_LONGEST_MESSAGE = 300


class Error(BaseModel):
    """Why a job failed, or what it waits for."""

    code: str
    message: str


class BatchPlace(BaseModel):
    """The batch that a job belongs to, and its place there from 0."""

    batch_id: str
    index: int | None
    size: int | None


class JobFacts(BaseModel):
    """A job in a list."""

    job_id: str
    user_id: str | None
    offset: int
    state: str
    batch: BatchPlace | None
    filename: str | None
    submitted_at: str
    begun_at: str | None
    ended_at: str | None
    attempt: int
    model: str | None
    error: Error | None
    outputs: list[str]
    coverage: dict[str, float]


def jobs(queries: Queries, rows: Sequence[Row]) -> list[JobFacts]:
    """Return what the page shows of jobs in a list."""
    stories = [queries.record(row.offset) for row in rows]
    return [JobFacts(**facts(story)) for story in stories if story is not None]


def facts(story: Story, *, longest_message: int = _LONGEST_MESSAGE) -> dict[str, Any]:
    """Return what the page shows of a job, wherever it shows it."""
    row = story.row
    result = story.event.result if story.event and row.shown.ended else None
    model = story.event.model if story.event else None
    error = story.error
    return {
        "job_id": row.job_id,
        "user_id": row.user_id,
        "offset": row.offset,
        "state": row.shown.name.lower(),
        "batch": _batch(story),
        "filename": story.job.get("metadata", {}).get("filename"),
        "submitted_at": moment(row.record_ms if row.submitted_ms is None else row.submitted_ms),
        "begun_at": moment(row.begun_ms),
        "ended_at": moment(row.ended_ms),
        "attempt": row.attempt,
        "model": model.name if model else story.job.get("model"),
        "error": error and Error(code=error[0], message=error[1][:longest_message]),
        "outputs": list(result.stored_keys) if result else [],
        "coverage": dict(result.coverage) if result else {},
    }


def _batch(story: Story) -> BatchPlace | None:
    row = story.row
    if row.batch_id is None:
        return None
    return BatchPlace(
        batch_id=row.batch_id, index=row.batch_index, size=story.job.get("batch_size")
    )


def moment(ms: int | None) -> str | None:
    """Return a moment as text in UTC. A producer's clock may be set to any year."""
    if ms is None:
        return None
    try:
        return timestamp_text(datetime.fromtimestamp(ms / 1000, UTC))
    except (OverflowError, ValueError, OSError):
        return timestamp_text(datetime.fromtimestamp(0, UTC))
