"""Cancellation: the cancels of the control topic, applied to the jobs that they name."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn, Self

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from consumer.errors import JobCancelled
from consumer.kafka.clients import stop_consumer
from consumer.kafka.connection import connection_options
from consumer.settings import KafkaSettings
from schemas.control import Cancel
from schemas.errors import InvalidMessage

log = structlog.get_logger()

RETRY_SECONDS = 1.0


class Cancellations:
    """Every cancel that may still matter; read to the end before a lane opens, then followed."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._topic = TopicPartition(settings.control_topic, 0)
        self._consumer = AIOKafkaConsumer(
            auto_offset_reset="earliest", enable_auto_commit=False, **connection_options(settings)
        )
        self._before: dict[str, int] = {}
        self._running: dict[tuple[str, int], asyncio.Task[object]] = {}
        self._follower: asyncio.Task[NoReturn] | None = None

    async def __aenter__(self) -> Self:
        try:
            await self._consumer.start()
            self._consumer.assign([self._topic])
            end = (await self._consumer.end_offsets([self._topic]))[self._topic]
            await self._consumer.seek_to_beginning(self._topic)
            while await self._consumer.position(self._topic) < end:
                await self._read()
        except BaseException:
            await stop_consumer(self._consumer)
            raise
        self._follower = asyncio.create_task(self._follow(), name="cancellation.follow")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._follower is not None:
            self._follower.cancel()
            await asyncio.wait([self._follower])
        await stop_consumer(self._consumer)

    @contextmanager
    def cancellable(self, job_id: str, offset: int) -> Iterator[None]:
        """Raise `JobCancelled` in the block as soon as a cancel covers the job's record."""
        if offset < self._before.get(job_id, 0):
            raise JobCancelled
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a job runs in a task")
        self._running[job_id, offset] = task
        try:
            yield
        except asyncio.CancelledError:
            # The lane cancels its tasks too, when it is closed: no user asked for that.
            if offset < self._before.get(job_id, 0) and task.uncancel() == 0:
                raise JobCancelled from None
            raise
        finally:
            self._running.pop((job_id, offset), None)

    def forget(self, through: int) -> None:
        """Drop what only concerns records up to and including offset `through`."""
        self._before = {job: before for job, before in self._before.items() if before > through + 1}

    async def _follow(self) -> NoReturn:
        while True:
            try:
                await self._read()
            except Exception as error:  # without this task no cancel would be read any more
                log.warning("cancel.not_read", reason=repr(error))
                await asyncio.sleep(RETRY_SECONDS)

    async def _read(self) -> None:
        for records in (await self._consumer.getmany(self._topic, timeout_ms=1000)).values():
            for record in records:
                self._note(record.value)

    def _note(self, value: bytes | None) -> None:
        if value is None:
            return
        try:
            cancel = Cancel.read(value)
        except InvalidMessage as error:
            log.warning("cancel.ignored", reason=str(error))
            return
        before = max(cancel.before_offset, self._before.get(cancel.job_id, 0))
        self._before[cancel.job_id] = before
        covered = [key for key in self._running if key[0] == cancel.job_id and key[1] < before]
        for key in covered:
            # Taken out, since each job is cancelled once: a second cancel would interrupt what
            # the job does to end, and the count of cancels tells ours from the lane's.
            self._running.pop(key).cancel()
