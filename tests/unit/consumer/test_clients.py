"""A consumer is stopped within a deadline, and what aiokafka lets out of `stop()` stays there."""

import asyncio

import pytest

from consumer.kafka import clients
from consumer.kafka.clients import stop_consumer


class Client:
    """Remembers that it was closed."""

    closed = False

    async def close(self) -> None:
        """Close."""
        self.closed = True


class Stoppable:
    """Stands in for an aiokafka consumer whose `stop()` does what the test wants."""

    def __init__(self, *, fault: BaseException | None = None, seconds: float = 0.0) -> None:
        self._client = Client()
        self._coordinator = self._fetcher = None
        self._fault = fault
        self._seconds = seconds

    async def stop(self) -> None:
        """Take some time, then perhaps fail."""
        await asyncio.sleep(self._seconds)
        if self._fault is not None:
            raise self._fault


async def test_a_fetchs_cancellation_is_not_ours() -> None:
    """Found by the fault laboratory, mixed, seed 23: the broker's death ended the process."""
    consumer = Stoppable(fault=asyncio.CancelledError())

    stopped = await stop_consumer(consumer)

    assert (stopped, consumer._client.closed) == (False, True)


async def test_a_stop_that_fails_closes_the_connections() -> None:
    """The group is left by the session's time-out then."""
    consumer = Stoppable(fault=ConnectionError())

    stopped = await stop_consumer(consumer)

    assert (stopped, consumer._client.closed) == (False, True)


async def test_a_stop_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """The coordinator may be gone for good."""
    monkeypatch.setattr(clients, "STOP_SECONDS", 0.01)
    consumer = Stoppable(seconds=3600)

    stopped = await stop_consumer(consumer)

    assert (stopped, consumer._client.closed) == (False, True)


async def test_a_stop_that_goes_well_is_left_alone() -> None:
    """It has closed its connections itself."""
    consumer = Stoppable()

    stopped = await stop_consumer(consumer)

    assert (stopped, consumer._client.closed) == (True, False)
