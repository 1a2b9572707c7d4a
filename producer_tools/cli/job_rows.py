"""Jobs as rows of output."""

from collections.abc import Mapping
from datetime import UTC, datetime

from producer_tools.view.queries import Queries, Story
from producer_tools.view.rows import Row
from schemas.timestamp import timestamp_text

LIST_COLUMNS = ("job", "state", "position", "user", "batch", "submitted", "ended", "error")


def moment(milliseconds: int | None) -> str | None:
    """Return a moment as text in UTC."""
    if milliseconds is None:
        return None
    return timestamp_text(datetime.fromtimestamp(milliseconds / 1000, UTC))


def list_rows(queries: Queries, rows: list[Row]) -> list[Mapping[str, object]]:
    """Return the rows of a list of jobs."""
    found: list[Mapping[str, object]] = []
    for row in rows:
        story = queries.record(row.offset)
        if story is not None:
            found.append(_facts(story, queries.position(story.row)))
    return found


def whole_story(queries: Queries, story: Story) -> dict[str, object]:
    """Return all that is known of a job."""
    event = story.event
    known = event if event is not None and story.row.shown.ended else None
    timings = known.timings_ms if known else None
    result = known.result if known else None
    model = known.model if known else None
    return {
        **_facts(story, queries.position(story.row)),
        "offset": story.row.offset,
        "provider": story.job.get("provider"),
        "image": story.job.get("image"),
        "image_sha256": story.job.get("image_sha256"),
        "outputs": story.job.get("outputs"),
        "metadata": story.job.get("metadata", {}),
        "begun": moment(story.row.begun_ms),
        "attempts": story.row.attempt,
        "worker": event.worker if event else None,
        "model": model.name if model else story.job.get("model"),
        "timings_ms": timings.model_dump() if timings else None,
        "width": result.width if result else None,
        "height": result.height if result else None,
        "coverage": result.coverage if result else None,
        "stored_keys": result.stored_keys if result else None,
    }


def _facts(story: Story, position: int | None) -> dict[str, object]:
    row = story.row
    error = story.error
    return {
        "job": row.job_id,
        "state": row.shown.name.lower(),
        "position": position,
        "user": row.user_id,
        "batch": row.batch_id,
        "index": row.batch_index,
        "submitted": moment(row.record_ms if row.submitted_ms is None else row.submitted_ms),
        "ended": moment(row.ended_ms),
        "error": None if error is None else f"{error[0]}: {error[1]}",
    }
