"""A job to submit, and what became of it: the facts that the client takes and returns."""

import json
import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from producer_tools.errors import InvalidJobError
from schemas.errors import InvalidMessage, invalid_message
from schemas.job import DEFAULT_PROVIDER, Batch, ImageReference, Job, OutputName
from schemas.status import StatusEvent
from schemas.trace_context import HEADER, traceparent

MAX_JOB_BYTES = 1_000_000
"""A little less than what a topic takes if nothing else is configured."""

Photo = bytes | Path | ImageReference
"""A photo's bytes, its file, or the object in S3 where it already is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A job that isn't submitted yet."""

    photo: Photo
    """The photo. Bytes and files are uploaded."""
    user_id: str
    """The user whose photo it is."""
    job_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    """The job's name. By default a random one."""
    provider: str = DEFAULT_PROVIDER
    """Sent to the callback unchanged."""
    image_sha256: str | None = None
    """For an object in S3: the SHA-256 that it must have. That of an upload is computed."""
    model: str | None = None
    """A model of the catalog. None: the default body model."""
    outputs: Sequence[OutputName] | None = None
    """The outputs to make. None: the model's own."""
    batch: Batch | None = None
    """The batch that the job belongs to."""
    callback_url: str | None = None
    """Where to send the masks. None: `MASK_ASSET_URL`."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """The producer's own data."""
    traceparent: str | None = None
    """The W3C trace context that the job belongs to. None: it begins a trace of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """A job whose record all replicas of the jobs topic have."""

    job: Job
    """The job as it was written."""
    offset: int
    """The offset of its record."""
    status_offset: int
    """An offset of the status topic. All events of the record are at it or after it."""
    problem: str | None = None
    """Why the photo couldn't be read, if so. The job will fail with `image_not_found`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The end of a submitted job."""

    submitted: Submitted
    """The job."""
    event: StatusEvent | None
    """Its terminal event. None: the line passed its record over, so that there will be none."""

    @property
    def state(self) -> str:
        """The terminal state. It is `failed` if the record was passed over."""
        return "failed" if self.event is None else self.event.state


def write_job(new: NewJob, image: ImageReference) -> Job:
    """Write the job whose photo is at `image`.

    Raises:
        InvalidJobError: The line couldn't read it.
    """
    try:
        json.dumps(dict(new.metadata), allow_nan=False)  # pydantic would write NaN as null
        job = Job(
            job_id=new.job_id,
            user_id=new.user_id,
            provider=new.provider,
            image=str(image),
            image_sha256=new.image_sha256,
            model=new.model,
            outputs=None if new.outputs is None else tuple(new.outputs),
            batch=new.batch,
            callback_url=new.callback_url,
            submitted_at=datetime.now(UTC),
            metadata=dict(new.metadata),
        )
        written = job.write()
        if len(written) > MAX_JOB_BYTES:
            raise ValueError(f"it has {len(written)} bytes, more than {MAX_JOB_BYTES}")
        return Job.read(written)
    except ValidationError as error:
        raise InvalidJobError(f"{new.job_id[:128]!r}: {invalid_message('Job', error)}") from None
    except (InvalidMessage, ValueError, TypeError) as error:  # metadata that isn't JSON
        raise InvalidJobError(f"{new.job_id[:128]!r}: {error}") from None


def headers(new: NewJob, *, span: str | None = None) -> list[tuple[str, bytes]]:
    """Return the headers of the job's record: its trace context, that of our span if there is one.

    Raises:
        InvalidJobError: The given trace context isn't one.
    """
    given = new.traceparent or f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"
    header = (HEADER, given.encode())
    if traceparent([header]) is None:
        raise InvalidJobError(f"{new.job_id!r}: {given[:80]!r} is no traceparent")
    return [header] if span is None else [(HEADER, span.encode())]
