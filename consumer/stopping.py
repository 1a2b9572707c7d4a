"""The end of an aiokafka consumer: within a deadline, and nobody's cancellation but its own."""

import asyncio

from aiokafka import AIOKafkaConsumer

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
