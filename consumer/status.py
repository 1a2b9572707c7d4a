"""Status events: what a record's subscribers are told, and the producer of the passing ones."""

import asyncio
import socket
import uuid
from datetime import UTC, datetime
from typing import Any, Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from consumer.clients import start_producer, stop_producer
from consumer.errors import LaneLost
from consumer.outcome import Header, Outcome, Record
from consumer.settings import KafkaSettings
from schemas.job import Job
from schemas.status import ErrorInfo, ModelInfo, State, StatusEvent, cloud_event_headers

PUBLISH_SECONDS = 15.0
# Jobs are taken by the handful: one request for their starts costs us and the broker as one does.
LINGER_MS = 5
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
    """Tell of `record` that it is in `state` now; `terminal`: result and timings_ms, if any."""
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
    """The one event that ends a record."""
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
    """Keyword arguments for a producer's `send`: the record's key, the event, its headers."""
    headers: list[Header] = [*cloud_event_headers(event, group)]
    if record.traceparent is not None:
        headers.append(("traceparent", record.traceparent.encode()))
    return {"key": record.key, "value": event.write(), "headers": headers}


class StatusPublisher:
    """Publishes `processing` and `retrying`, outside any transaction, acknowledged by the broker.

    An acknowledged `processing` event before the start of each job is the ledger of attempts.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._producer = AIOKafkaProducer(
            enable_idempotence=True, linger_ms=LINGER_MS, **settings.connection()
        )

    async def __aenter__(self) -> Self:
        await start_producer(self._producer, "producer of status events", seconds=PUBLISH_SECONDS)
        return self

    async def __aexit__(self, *_: object) -> None:
        await stop_producer(self._producer)

    async def publish(self, event: StatusEvent, record: Record) -> int:
        """Give the event's offset once the broker has it.

        Raises:
            LaneLost: the broker refuses it, or can't be reached.
        """
        arguments = message(event, record, group=self._settings.consumer_group)
        try:
            async with asyncio.timeout(PUBLISH_SECONDS):
                published = await self._producer.send_and_wait(
                    self._settings.status_topic, partition=0, **arguments
                )
        except (KafkaError, TimeoutError) as error:
            raise LaneLost(f"a status event can't be published: {error!r}") from error
        offset: int = published.offset
        return offset
