"""Appends jobs to the jobs topic for as long as a process lives: one, or several as one."""

import asyncio
import uuid
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from consumer.settings import KafkaSettings
from producer_tools.client.line import open_producer, unreachable
from schemas.job import Job

Headers = list[tuple[str, bytes]]

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
        self._single: AIOKafkaProducer | None = None
        self._batches: AIOKafkaProducer | None = None
        self._opening = asyncio.Lock()
        self._in_transaction = asyncio.Lock()
        self._open = AsyncExitStack()
        self._open_batches = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open_batches.aclose()
        await self._open.aclose()

    async def append(self, job: Job, headers: Headers) -> int:
        """Append a job, and return its offset when all replicas have it.

        Raises:
            ServiceError: Kafka failed. The record may be in the topic, or come there yet.
        """
        try:
            async with asyncio.timeout(self._seconds):
                producer = await self._single_producer()
                record = await producer.send_and_wait(
                    self._settings.jobs_topic,
                    job.write(),
                    key=job.job_id.encode(),
                    headers=headers,
                    partition=0,
                )
        except (KafkaError, TimeoutError) as error:
            raise unreachable(self._settings, error) from error
        offset: int = record.offset
        return offset

    async def append_batch(self, jobs: Sequence[tuple[Job, Headers]]) -> list[int]:
        """Append jobs in this order, all or none, and return their offsets.

        Raises:
            ServiceError: Kafka failed. All records may be in the topic, or none.
        """
        async with self._in_transaction:
            try:
                async with asyncio.timeout(self._seconds):
                    producer = await self._batch_producer()
                    async with producer.transaction():
                        sent = [
                            await producer.send(
                                self._settings.jobs_topic,
                                job.write(),
                                key=job.job_id.encode(),
                                headers=headers,
                                partition=0,
                            )
                            for job, headers in jobs
                        ]
                    return [(await future).offset for future in sent]
            except (KafkaError, TimeoutError) as error:
                await self._forget_batch_producer()
                raise unreachable(self._settings, error) from error

    async def _single_producer(self) -> AIOKafkaProducer:
        async with self._opening:
            if self._single is None:
                self._single = await self._open.enter_async_context(open_producer(self._settings))
            return self._single

    async def _batch_producer(self) -> AIOKafkaProducer:
        if self._batches is None:
            name = f"{self._settings.consumer_group}-gateway-{uuid.uuid4()}"
            self._batches = await self._open_batches.enter_async_context(
                open_producer(
                    self._settings,
                    transactional_id=name,
                    transaction_timeout_ms=_TRANSACTION_SECONDS * 1000,
                )
            )
        return self._batches

    async def _forget_batch_producer(self) -> None:
        """Close it: after an error it may not be able to begin another transaction."""
        self._batches = None
        await self._open_batches.aclose()
