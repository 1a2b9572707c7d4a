"""A long wait doesn't fill the status topic, and its first events are never left out."""

from types import SimpleNamespace
from typing import Any

import pytest

from consumer.errors import Unavailable
from consumer.job import attempt
from consumer.job.attempt import RETRIES_PUBLISHED, Attempt
from consumer.job.record import Record
from consumer.line.ledger import Ledger
from consumer.telemetry.secrets import Secrets
from consumer.telemetry.tracing import NO_TRACING
from schemas.status import StatusEvent

AWAY = Unavailable("storage_unavailable", "S3 is away", stage="fetch")
RECORD = Record("mask.jobs", 0, 7, 0, b"k", b'{"job_id":"a","user_id":"u","image":"s3://b/k"}', ())


class Publisher:
    """Notes the states that are published."""

    def __init__(self) -> None:
        self.states: list[str] = []

    async def publish(self, event: StatusEvent, record: Record) -> int:
        """Note it."""
        del record
        self.states.append(event.state)
        return len(self.states)


@pytest.fixture
def publisher() -> Publisher:
    """A publisher."""
    return Publisher()


@pytest.fixture
def waiting(publisher: Publisher) -> Attempt:
    """An attempt whose job waits."""
    services: Any = SimpleNamespace(max_attempts=3, secrets=Secrets(()), tracing=NO_TRACING)
    one = Attempt(RECORD, services=services, publisher=publisher, ledger=Ledger())
    one.read()
    return one


async def test_after_its_first_events_a_wait_is_published_once_in_a_while(
    waiting: Attempt, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever opens the lane next reads them all."""
    for _ in range(1000):
        await waiting._retrying(AWAY, 1.0)
    assert publisher.states == ["retrying"] * RETRIES_PUBLISHED
    monkeypatch.setattr(attempt, "REPUBLISH_SECONDS", 0.0)
    await waiting._retrying(AWAY, 1.0)
    assert len(publisher.states) == RETRIES_PUBLISHED + 1


async def test_a_wait_that_follows_work_is_published_at_once(
    waiting: Attempt, publisher: Publisher
) -> None:
    """Its process may die in it, and `processing` as the last word would be a crash."""
    for _ in range(RETRIES_PUBLISHED + 1):
        await waiting._retrying(AWAY, 1.0)
    await waiting._publish_start()
    await waiting._retrying(AWAY, 1.0)
    assert publisher.states[-2:] == ["processing", "retrying"]


def test_the_producers_own_is_not_kept() -> None:
    """It may be as large as the record."""
    value = b'{"job_id":"a","user_id":"u","image":"s3://b/k","metadata":{"x":"y"}}'
    record = Record("mask.jobs", 0, 7, 0, b"k", value, ())
    services: Any = SimpleNamespace(max_attempts=3, secrets=Secrets(()), tracing=NO_TRACING)
    one = Attempt(record, services=services, publisher=Publisher(), ledger=Ledger())
    assert one.read().metadata == {}
