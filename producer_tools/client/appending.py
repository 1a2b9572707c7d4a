"""Appends jobs to the jobs topic for as long as a process lives: one, or several as one."""

import asyncio
import time
import uuid
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from consumer.kafka.rights import to_transact, to_write
from consumer.settings import KafkaSettings
from producer_tools.client.line import open_producer, unreachable
from schemas.job import Job

Headers = list[tuple[str, bytes]]

_BATCH_BYTES = 900_000
"""A little less than what a topic takes if nothing else is configured."""
_TRANSACTION_SECONDS = 10
"""A killed process leaves a transaction open for so long, and readers wait for its end."""


class Appender:
    """Two producers that are opened when they are first needed, and anew after an error.

    Args:
        settings: The line.
        seconds: The longest that an append may take. After that its outcome isn't known.
    """

    def __init__(self, settings: KafkaSettings, *, seconds: float) -> None:
        self._settings = settings
        self._seconds = seconds
        self._transactions = f"{settings.consumer_group}-gateway-"
        self._takes = (
            *to_write(settings.jobs_topic),
            *to_transact(self._transactions, prefixed=True),
        )
        self._single: AIOKafkaProducer | None = None
        self._batches: AIOKafkaProducer | None = None
        self._opening = asyncio.Lock()
        self._in_transaction = asyncio.Lock()
        self._tasks: set[asyncio.Task[list[int]]] = set()
        self._renewals: set[asyncio.Task[None]] = set()
        self._open = AsyncExitStack()
        self._open_batches = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in (*self._tasks, *self._renewals):
            task.cancel()
        if self._renewals:
            await asyncio.wait(self._renewals)
        await self._open_batches.aclose()
        await self._open.aclose()

    def renew(self, settings: KafkaSettings) -> None:
        """Reach Kafka by these settings from now on; what is under way is finished as it began."""
        self._settings = settings
        renewing = asyncio.create_task(self._renew(), name="producers.renew")
        self._renewals.add(renewing)
        renewing.add_done_callback(self._renewals.discard)

    async def append(self, job: Job, headers: Headers) -> int:
        """Append a job, and return its offset when all replicas have it.

        Raises:
            ServiceError: Kafka failed. The record may be in the topic, or come there yet.
        """
        try:
            async with asyncio.timeout(self._seconds):
                producer = await self._single_producer()
                sent = await producer.send(
                    self._settings.jobs_topic, job.write(), key=_key(job), headers=headers
                )
                # Shielded: where a caller's time is over, the producer must not lose its count.
                offset: int = (await asyncio.shield(sent)).offset
        except (KafkaError, TimeoutError) as error:
            raise unreachable(self._settings, error, *self._takes) from error
        return offset

    async def append_batch(self, jobs: Sequence[tuple[Job, Headers]]) -> list[int]:
        """Append jobs in this order, all or none, and return their offsets.

        Raises:
            ServiceError: Kafka failed. All records may be in the topic, or none.
        """
        begun = time.monotonic()
        try:
            async with asyncio.timeout(self._seconds):
                whole = await self._append_as_one(jobs)
                if whole is not None:
                    return whole
                await self._in_transaction.acquire()
        except (KafkaError, TimeoutError) as error:
            raise unreachable(self._settings, error, *self._takes) from error
        # A task of its own: an abort waits for Kafka, and the caller doesn't.
        appending = asyncio.create_task(self._append_batch(jobs), name="jobs.append")
        self._tasks.add(appending)
        appending.add_done_callback(self._end_batch)
        left = max(0.1, self._seconds - (time.monotonic() - begun))
        done, _ = await asyncio.wait([appending], timeout=left)
        if not done:
            appending.cancel()
            raise unreachable(self._settings, TimeoutError())
        return await appending

    async def _append_as_one(self, jobs: Sequence[tuple[Job, Headers]]) -> list[int] | None:
        """Append jobs as one record batch, which is there whole or not at all.

        None: they are too many for one. It is better than a transaction: a process that is killed
        leaves nothing open that readers would wait for.
        """
        producer = await self._single_producer()
        batch = producer.create_batch()
        for job, headers in jobs:
            if not batch.append(timestamp=None, key=_key(job), value=job.write(), headers=headers):
                return None
        sent = await producer.send_batch(batch, self._settings.jobs_topic, partition=0)
        first: int = (await asyncio.shield(sent)).offset
        return [first + index for index in range(len(jobs))]

    async def _append_batch(self, jobs: Sequence[tuple[Job, Headers]]) -> list[int]:
        topic = self._settings.jobs_topic
        try:
            producer = await self._batch_producer()
            async with producer.transaction():
                sent = [
                    await producer.send(topic, job.write(), key=_key(job), headers=headers)
                    for job, headers in jobs
                ]
            return [(await future).offset for future in sent]
        except BaseException as error:
            # After an error it may not be able to begin another transaction.
            self._batches = None
            await self._open_batches.aclose()
            if isinstance(error, KafkaError | TimeoutError):
                raise unreachable(self._settings, error, *self._takes) from error
            raise

    def _end_batch(self, appending: "asyncio.Task[list[int]]") -> None:
        """Let the next batch begin."""
        self._tasks.discard(appending)
        self._in_transaction.release()
        if not appending.cancelled():
            appending.exception()  # its caller may have gone

    async def _renew(self) -> None:
        """Close both producers, each when nobody needs it any more."""
        async with self._opening:
            old, self._open, self._single = self._open, AsyncExitStack(), None
        try:
            async with self._in_transaction:
                self._batches = None
                await self._open_batches.aclose()
            await asyncio.sleep(self._seconds)  # no append that began with it takes longer
        finally:
            await old.aclose()

    async def _single_producer(self) -> AIOKafkaProducer:
        async with self._opening:
            if self._single is None:
                self._single = await self._open.enter_async_context(
                    open_producer(self._settings, max_batch_size=_BATCH_BYTES)
                )
            return self._single

    async def _batch_producer(self) -> AIOKafkaProducer:
        if self._batches is None:
            self._batches = await self._open_batches.enter_async_context(
                open_producer(
                    self._settings,
                    *self._takes,
                    transactional_id=f"{self._transactions}{uuid.uuid4()}",
                    transaction_timeout_ms=_TRANSACTION_SECONDS * 1000,
                )
            )
        return self._batches


def _key(job: Job) -> bytes:
    return job.job_id.encode()
