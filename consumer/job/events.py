"""Status events of a record, and the Kafka messages that carry them."""

import socket
import uuid
from datetime import UTC, datetime
from typing import Any

from consumer.job.outcome import Outcome
from consumer.job.record import Header, Record
from schemas import trace_context
from schemas.job import Job
from schemas.status import ErrorInfo, ModelInfo, State, StatusEvent, cloud_event_headers

WORKER = socket.gethostname()


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


def message(event: StatusEvent, record: Record, *, group: str) -> dict[str, Any]:
    """Give keyword arguments for a producer's `send`: the record's key, the event, its headers."""
    headers: list[Header] = [*cloud_event_headers(event, group)]
    if record.traceparent is not None:
        headers.append((trace_context.HEADER, record.traceparent.encode()))
    return {"key": record.key, "value": event.write(), "headers": headers}
