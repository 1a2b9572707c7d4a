"""Status events of a record, and the Kafka messages that carry them."""

import socket
import uuid
from datetime import UTC, datetime
from typing import Any

from consumer.job.outcome import Outcome
from consumer.job.record import Header, Record
from consumer.kafka.sizes import batch_bytes
from schemas import cloud_events, trace_context
from schemas.job import Job
from schemas.status import ErrorInfo, ModelInfo, State, StatusEvent, cloud_event_headers

WORKER = socket.gethostname()
CUT_TEXTS = (500, 50)
"""Characters of each text in an event that wouldn't fit otherwise, and then in one that still
doesn't."""


def status_event(
    record: Record,
    state: State,
    *,
    job: Job | None,
    model: ModelInfo | None = None,
    error: ErrorInfo | None = None,
    attempt: int = 1,
    **terminal: Any,
) -> StatusEvent:
    """Make the event that `record` is in `state` now; `terminal`: result and timings_ms, if any."""
    return StatusEvent(
        event_id=str(uuid.uuid4()),
        job_id=job.job_id if job else None,
        user_id=job.user_id if job else None,
        provider=job.provider if job else None,
        batch=job.batch if job else None,
        state=state,
        occurred_at=datetime.now(UTC),
        attempt=attempt,
        source=record.source,
        worker=WORKER,
        model=model,
        error=error,
        replay_of=job.replay_of if job else None,
        **terminal,
    )


def terminal_event(outcome: Outcome) -> StatusEvent:
    """Make the one event that ends a record."""
    return status_event(
        outcome.record,
        outcome.state,
        job=outcome.job,
        model=outcome.model,
        error=outcome.failure.error if outcome.failure else None,
        attempt=outcome.attempt,
        result=outcome.result,
        timings_ms=outcome.timings,
    )


def message(
    event: StatusEvent,
    record: Record,
    *,
    group: str,
    limit: int,
    topic_id: str = "",
    replay_id: str | None = None,
) -> dict[str, Any]:
    """Give keyword arguments for a producer's `send`: the record's key, the event, its headers.

    A batch of it has at most `limit` bytes: a key that is too long is left out, and after that the
    event's texts are cut. `topic_id` is that of the jobs topic, where it is known. `replay_id`: the
    replay run that does the record again.
    """
    if replay_id is not None:
        event = event.model_copy(update={"replay_id": replay_id})
    headers: list[Header] = [*cloud_event_headers(event, group)]
    if topic_id:
        headers.append((cloud_events.TOPIC_ID, topic_id.encode()))
    if record.traceparent is not None:
        headers.append((trace_context.HEADER, record.traceparent.encode()))
    key, value = record.key, event.write()
    if batch_bytes(key, value, headers) > limit:
        key = None
    for most in CUT_TEXTS:
        if batch_bytes(key, value, headers) > limit:
            value = _cut(event, most).write()
    return {"key": key, "value": value, "headers": headers}


def _cut(event: StatusEvent, most: int) -> StatusEvent:
    """Cut an event's long texts to so many characters each."""
    changes: dict[str, Any] = {}
    if event.error is not None:
        error = event.error.model_copy(update={"message": event.error.message[:most]})
        changes["error"] = error
    if event.result is not None:
        keys = {name: key[:most] for name, key in event.result.stored_keys.items()}
        changes["result"] = event.result.model_copy(update={"stored_keys": keys})
    return event.model_copy(update=changes)
