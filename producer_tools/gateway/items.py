"""Seed 2's items: a job, or a batch as one, as they are shown."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from producer_tools.gateway.common import model_of, to_microseconds
from producer_tools.view.batches import BatchRow
from producer_tools.view.queries import Queries, Story
from producer_tools.view.rows import Row
from producer_tools.view.tables import Shown

STATUS = {
    Shown.QUEUED: "pending",
    Shown.PROCESSING: "processing",
    Shown.RETRYING: "processing",
    Shown.COMPLETED: "completed",
    Shown.FAILED: "failed",
    Shown.CANCELLED: "cancelled",
}


class Progress(BaseModel):
    """How many files there are, and what became of them."""

    total: int
    processed: int
    failed: int


class FileResult(BaseModel):
    """What became of one file."""

    filename: str
    job_id: str
    status: str
    stored_keys: dict[str, str] | None
    error: str | None


class Item(BaseModel):
    """A job, or a batch."""

    id: str
    status: str
    type: str
    created_at: str
    started_at: str | None
    completed_at: str | None
    progress: Progress
    model: str
    filenames: list[str]
    results: list[FileResult] | None
    error: str | None


def find_item(queries: Queries, name: str) -> Row | BatchRow | None:
    """Return the job of this name, else the batch. None: there is neither."""
    story = queries.job(name)
    return queries.batch(name) if story is None else story.row


def show_item(queries: Queries, item: Row | BatchRow, *, default_model: str) -> Item:
    """Write an item as seed 2 does."""
    if isinstance(item, BatchRow):
        rows: Sequence[Row] = queries.batch_records(item.batch_id)
        return _show_batch(item, _stories(queries, rows), default_model)
    (story,) = _stories(queries, [item]) or [Story(item, {}, None)]
    return _show_job(story, default_model)


def _show_job(story: Story, default_model: str) -> Item:
    row = story.row
    return Item(
        id=row.job_id,
        status=STATUS[row.shown],
        type="single",
        created_at=to_microseconds(row.submitted_ms or row.record_ms) or "",
        started_at=to_microseconds(row.begun_ms),
        completed_at=to_microseconds(row.ended_ms) if row.shown.ended else None,
        progress=Progress(
            total=1,
            processed=int(row.shown is Shown.COMPLETED),
            failed=int(row.shown is Shown.FAILED),
        ),
        model=model_of(story, default_model),
        filenames=[_filename(story)],
        results=[_result(story)] if row.shown.ended else None,
        error=_error(story),
    )


def _show_batch(batch: BatchRow, stories: Sequence[Story], default_model: str) -> Item:
    failed = [story for story in stories if _error(story)]
    models = [model_of(story, default_model) for story in stories]
    return Item(
        id=batch.batch_id,
        status=STATUS[batch.shown],
        type="batch",
        created_at=to_microseconds(batch.submitted_ms or batch.first_ms) or "",
        started_at=to_microseconds(batch.begun_ms),
        completed_at=to_microseconds(batch.ended_ms) if batch.shown.ended else None,
        progress=Progress(
            total=batch.size,
            processed=batch.counts[Shown.COMPLETED],
            failed=batch.counts[Shown.FAILED] + batch.missing,
        ),
        model=models[0] if models else default_model,
        filenames=[_filename(story) for story in stories],
        results=[_result(story) for story in stories] if batch.shown.ended else None,
        error=_error(failed[0]) if failed else None,
    )


def _stories(queries: Queries, rows: Sequence[Row]) -> list[Story]:
    return [story for row in rows if (story := queries.record(row.offset))]


def _result(story: Story) -> FileResult:
    event: Any = story.event
    done = story.row.shown is Shown.COMPLETED and event is not None and event.result is not None
    return FileResult(
        filename=_filename(story),
        job_id=story.row.job_id,
        status=STATUS[story.row.shown],
        stored_keys=event.result.stored_keys if done else None,
        error=_error(story),
    )


def _filename(story: Story) -> str:
    return str(story.job.get("metadata", {}).get("filename") or story.row.job_id)


def _error(story: Story) -> str | None:
    error = story.error if story.row.shown is Shown.FAILED else None
    return error[1] if error else None
