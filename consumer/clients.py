"""aiokafka's clients, started and stopped within a deadline, whatever the broker does."""

import asyncio
from itertools import chain
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError

from consumer.errors import LaneLost

STOP_SECONDS = 5.0


async def stop_consumer(consumer: AIOKafkaConsumer) -> bool:
    """Stop whatever the broker does; say whether all went well, the leaving of a group included.

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
        await consumer._client.close()  # what `stop()` would have closed last
    return stopped


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
    finally:
        hear_out(producer)


def hear_out(producer: AIOKafkaProducer) -> None:
    """Ask for the exceptions of what the producer has under way, lest asyncio tell of them.

    A lane that is fenced or closed in a transaction has heard, in the call that it made, what went
    wrong. aiokafka puts the same exception into futures that nobody has: of the offsets and the
    end of the transaction, and of batches that were never sent.
    """
    accumulator, transactions = producer._message_accumulator, producer._txn_manager
    batches = [*chain.from_iterable(accumulator._batches.values()), *accumulator._pending_batches]
    futures = [batch._drain_waiter for batch in batches]
    futures += [message for batch in batches for message, _ in batch._msg_futures]
    if transactions is not None and transactions.transactional_id is not None:
        futures += [offsets for _, _, offsets in transactions._pending_txn_offsets]
        futures.append(transactions.wait_for_transaction_end())
    for future in futures:
        if future is not None:
            future.add_done_callback(_hear)


def _hear(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()
