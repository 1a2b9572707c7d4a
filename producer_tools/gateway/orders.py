"""What callers submit, the jobs that come of it, and whether it was submitted before."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from producer_tools.client.new_job import NewJob, write_job
from producer_tools.client.uploads import Uploads
from producer_tools.errors import InvalidJobError
from producer_tools.gateway.form import Upload
from producer_tools.gateway.refusal import Refused, bad
from producer_tools.view.queries import Queries, Story
from schemas.job import Batch, Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a caller submits: a photo, or several as a batch."""

    user_id: str
    uploads: Sequence[Upload]
    model: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    job_id: str | None = None
    """The caller's own name for the job. None: a random one."""
    batch_id: str | None = None
    """The name of the batch. None: the photo is a job by itself."""
    idempotency_key: str | None = None
    traceparent: str | None = None


def new_job(order: Order, index: int, uploads: Uploads) -> NewJob:
    """Return the job of one of an order's photos."""
    upload = order.uploads[index]
    batch, name = None, order.job_id or str(uuid.uuid4())
    if order.batch_id is not None:
        batch = Batch(batch_id=order.batch_id, index=index, size=len(order.uploads))
        name = f"{order.batch_id}:{index}"
    metadata = {"filename": upload.filename, **order.metadata}
    if order.idempotency_key is not None:
        metadata["idempotency_key"] = order.idempotency_key
    return NewJob(
        job_id=name,
        photo=uploads.new_reference(),
        image_sha256=upload.sha256,
        user_id=order.user_id,
        model=order.model,
        batch=batch,
        metadata=metadata,
        traceparent=order.traceparent,
    )


def write(new: NewJob) -> Job:
    """Write a job as the line reads it.

    Raises:
        Refused: 400, the line couldn't read it.
    """
    try:
        return write_job(new, new.photo)  # type: ignore[arg-type]
    except InvalidJobError as error:
        raise bad(str(error)) from error


def of_key(queries: Queries, order: Order, key: str, since: int) -> Story | None:
    """Return the job of this key since then: of a batch, its first. None: there is none.

    Raises:
        Refused: 409, the key was used for something else.
    """
    story = queries.by_idempotency_key(key, order.user_id, since)
    if story is None:
        return None
    rows = [story.row]
    if story.row.batch_id is not None:
        rows = queries.batch_records(story.row.batch_id)
    stories = [found for row in rows if (found := queries.record(row.offset))]
    if len(stories) != len(order.uploads) or not all(
        is_same(each, order, upload) for each, upload in zip(stories, order.uploads, strict=True)
    ):
        raise Refused(409, "The Idempotency-Key was used for another request within a day.")
    return story


def is_same(story: Story, order: Order, upload: Upload) -> bool:
    """Whether a job says what an order says."""
    known = story.job.get("metadata", {})
    wanted = {"filename": upload.filename, **order.metadata}
    return (
        (order.job_id in (None, story.row.job_id))
        and story.job.get("image_sha256") == upload.sha256
        and story.row.user_id == order.user_id
        and story.job.get("model") == order.model
        and all(known.get(name) == value for name, value in wanted.items() if value is not None)
    )
