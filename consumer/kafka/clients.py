"""aiokafka's clients, started and stopped within a deadline whatever the broker does."""

import asyncio
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError

from consumer.errors import LaneLost

STOP_SECONDS = 5.0
LEAVE_SECONDS = 1.0
MAX_REQUEST_BYTES = 64 * 1024 * 1024
"""Above any message of ours: `max.message.bytes` of its topic is the limit that counts."""


async def stop_consumer(consumer: AIOKafkaConsumer) -> bool:
    """Stop within a deadline; return whether it went well, the leaving of a group included.

    In a task of its own: `stop()` cancels its fetches, and where one waits to be repeated, since
    the broker is away, that fetch's CancelledError comes out of `stop()` as if we were cancelled.
    It also waits for a coordinator that may be gone.
    """
    stopping = asyncio.create_task(consumer.stop(), name="consumer.stop")
    await asyncio.wait([stopping], timeout=STOP_SECONDS)
    if stopping.cancel():
        await asyncio.wait([stopping], timeout=STOP_SECONDS)
    stopped = stopping.done() and not stopping.cancelled() and stopping.exception() is None
    if not stopped:
        await _take_apart(consumer)
    return stopped


async def _take_apart(consumer: AIOKafkaConsumer) -> None:
    """End what `stop()` would have ended, had the broker let it come so far."""
    coordinator, fetcher = consumer._coordinator, consumer._fetcher
    tasks: list[asyncio.Task[Any] | None] = []
    if coordinator is not None:
        names = ("_coordination_task", "_heartbeat_task", "_commit_refresh_task")
        tasks += [getattr(coordinator, name, None) for name in (*names, "_reset_committed_task")]
    if fetcher is not None:
        fetcher._closed = True
        tasks += [fetcher._fetch_task, *fetcher._pending_tasks]
    alive = [task for task in tasks if task is not None and not task.done()]
    for task in alive:
        task.cancel()
    if alive:
        await asyncio.wait(alive, timeout=STOP_SECONDS)
    leave = getattr(coordinator, "_maybe_leave_group", None)
    if leave is not None:
        # `stop()` may have waited for a rebalance, and the group needn't wait for the session.
        leaving = asyncio.create_task(leave(), name="group.leave")
        await asyncio.wait([leaving], timeout=LEAVE_SECONDS)
        leaving.cancel()
    closing = asyncio.create_task(consumer._client.close(), name="consumer.close")
    await asyncio.wait([closing], timeout=STOP_SECONDS)


def producer_up(producer: AIOKafkaProducer) -> bool:
    """Whether the producer's own task, which sends what it is given, is at work."""
    sending = producer._sender.sender_task
    return sending is not None and not sending.done()


async def start_producer(producer: AIOKafkaProducer, name: str, *, seconds: float) -> None:
    """Start within a deadline; one that can't be started is stopped, and the lane is lost."""
    try:
        async with asyncio.timeout(seconds):
            await producer.start()
    except BaseException as error:
        await stop_producer(producer)
        if isinstance(error, KafkaError | TimeoutError):
            raise LaneLost(f"no {name}: {error!r}") from error
        raise


async def stop_producer(producer: AIOKafkaProducer) -> None:
    """Stop within a deadline: `stop()` waits for ever on a broker that doesn't answer."""
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await producer.stop()
    except (TimeoutError, KafkaError):
        # What `stop()` would have closed last; its sender task must not outlive us.
        if producer._sender.sender_task is not None:
            producer._sender.sender_task.cancel()
        await producer.client.close()
