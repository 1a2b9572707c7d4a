"""What the view takes from a record of each topic. No record is an error."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from pydantic import ValidationError

from consumer.kafka.reader import UnreadableRecord
from schemas import cloud_events
from schemas.control import Cancel
from schemas.errors import InvalidMessage
from schemas.job import Batch, Job
from schemas.message import READ_CONTEXT
from schemas.status import StatusEvent
from schemas.trace_context import traceparent

KNOWN_METADATA = ("filename", "instruction", "seed", "system_prompt", "idempotency_key")
"""What the gateway and the tools write into a job's metadata."""
_MAX_TEXT = 4000
_MAX_KEY = 128


class RawRecord(Protocol):
    """A record as a reader of a topic gives it."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


@dataclass(frozen=True, slots=True)
class JobFacts:
    """A record of the jobs topic."""

    offset: int
    record_ms: int
    job_id: str
    """The job, or the record's key if its value can't be read."""
    user_id: str | None
    batch: Batch | None
    submitted_ms: int | None
    idempotency_key: str | None
    text: str
    """The rest, as JSON."""
    readable: bool


@dataclass(frozen=True, slots=True)
class EventFacts:
    """A status event of the line."""

    event: StatusEvent
    offset: int
    """The offset of the event."""
    record_ms: int
    text: str

    @property
    def occurred_ms(self) -> int:
        """When it happened."""
        return milliseconds(self.event.occurred_at)


def read_job(record: RawRecord) -> JobFacts:
    """Read a record of the jobs topic, whatever is in it."""
    try:
        if isinstance(record, UnreadableRecord):
            raise InvalidMessage(record.reason)
        job = Job.read(record.value)
    except InvalidMessage as error:
        return _unreadable_job(record, str(error)[:1000])
    known = {name: _short(job.metadata.get(name)) for name in KNOWN_METADATA}
    facts = {
        "provider": job.provider,
        "image": job.image,
        "image_sha256": job.image_sha256,
        "model": job.model,
        "outputs": job.outputs,
        "batch_size": job.batch.size if job.batch else None,
        "replay_of": job.replay_of,
        "trace_id": _trace_id(record),
        "metadata": {name: value for name, value in known.items() if value is not None},
    }
    key = known["idempotency_key"]
    return JobFacts(
        offset=record.offset,
        record_ms=_record_ms(record),
        job_id=job.job_id,
        user_id=job.user_id,
        batch=job.batch,
        submitted_ms=None if job.submitted_at is None else milliseconds(job.submitted_at),
        idempotency_key=key if isinstance(key, str) else None,
        text=json.dumps({name: value for name, value in facts.items() if value is not None}),
        readable=True,
    )


def _unreadable_job(record: RawRecord, reason: str) -> JobFacts:
    # As UTF-8 a character has up to 4 bytes, and a key may have a megabyte.
    key = (record.key or b"")[: 4 * _MAX_KEY].decode(errors="replace")[:_MAX_KEY]
    return JobFacts(
        offset=record.offset,
        record_ms=_record_ms(record),
        job_id=key,
        user_id=None,
        batch=None,
        submitted_ms=None,
        idempotency_key=None,
        text=json.dumps({"unreadable": reason}),
        readable=False,
    )


def _trace_id(record: RawRecord) -> str | None:
    """Return the id of the trace that a job belongs to."""
    found = traceparent(record.headers)
    return found and found.split("-")[1]


def _record_ms(record: RawRecord) -> int:
    """Return the record's timestamp. Formats of before 2016 have none."""
    return record.timestamp if record.timestamp > 0 else now_ms()


def read_event(record: RawRecord, *, jobs_topic: str, jobs_topic_id: str) -> EventFacts | None:
    """Read an event of the line. Return None for a replay run's, and for what is no event.

    An event may name another topic's id: that of a jobs topic that was made anew since then.
    """
    if record.value is None or isinstance(record, UnreadableRecord):
        return None
    try:
        event = StatusEvent.model_validate_json(record.value, context=READ_CONTEXT)
    except ValidationError:
        return None
    if event.replay_id is not None or event.source.topic != jobs_topic:
        return None
    named = next(
        (value for name, value in record.headers if name == cloud_events.TOPIC_ID and value), b""
    )
    if named and jobs_topic_id and named.decode(errors="replace") != jobs_topic_id:
        return None
    return EventFacts(event, record.offset, record.timestamp, record.value.decode())


def read_cancel(record: RawRecord) -> Cancel | None:
    """Read a cancel. Return None for what is none."""
    try:
        return Cancel.read(record.value)
    except InvalidMessage:
        return None


def milliseconds(instant: datetime) -> int:
    """Return a point in time in milliseconds since 1970."""
    return round(instant.timestamp() * 1000)


def now_ms() -> int:
    """Return the present time in milliseconds since 1970."""
    return round(time.time() * 1000)


def _short(value: Any) -> str | int | None:
    if isinstance(value, str):
        return value[:_MAX_TEXT]
    return value if isinstance(value, int) and -(2**63) <= value < 2**63 else None
