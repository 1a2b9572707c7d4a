"""The control topic: cancels, applied to the jobs that they name, and resumes of a halt."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn, Self

import structlog
from aiokafka import TopicPartition

from consumer.errors import JobCancelled
from consumer.kafka.reader import AnyRecord, Reader, read_to_end, started_reader
from consumer.settings import KafkaSettings
from schemas.cloud_events import TOPIC_ID
from schemas.control import RESUME_KEY, Cancel, Resume
from schemas.errors import InvalidMessage

log = structlog.get_logger()

RETRY_SECONDS = 1.0
HEAR_SECONDS = 30.0
"""A line whose control topic can't be read for so long goes on without it, and says so."""
SILENT_SECONDS = 10.0
"""A fetch of nothing is answered after half a second."""


class Cancellations:
    """Every cancel that may still matter; read to the end before a lane opens, then followed."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._topic = TopicPartition(settings.control_topic, 0)
        self._before: dict[str, int] = {}
        self._running: dict[tuple[str, int], asyncio.Task[object]] = {}
        self._resumed_through: dict[str, int] = {}
        self._resumed = asyncio.Event()
        self._caught_up = asyncio.Event()
        self._listener: asyncio.Task[NoReturn] | None = None
        self.topic_id = ""
        """The jobs topic's id. A resume for another topic of its name lifts no halt."""
        self.unheard: str | None = None
        """Why the control topic can't be heard, while it can't."""

    async def __aenter__(self) -> Self:
        """Read all there is; go on without it where it can't be read in time."""
        self._listener = asyncio.create_task(self._listen(), name="control.listen")
        try:
            async with asyncio.timeout(HEAR_SECONDS):
                await self._caught_up.wait()
        except TimeoutError:
            self._not_heard(self.unheard or f"it can't be read to its end in {HEAR_SECONDS:g} s")
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.wait([self._listener])

    def is_lifted(self, after: int) -> bool:
        """Whether a halt whose last settled record has offset `after` is lifted."""
        resumes = self._resumed_through
        known = {"", self.topic_id} if self.topic_id else resumes.keys()
        return any(after <= resumes.get(topic_id, -1) for topic_id in known)

    async def lifted(self, after: int) -> None:
        """Wait until a halt whose last settled record has offset `after` is lifted."""
        while not self.is_lifted(after):
            self._resumed.clear()
            await self._resumed.wait()

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

    async def _listen(self) -> NoReturn:
        """Read the topic from its beginning and follow it; begin again where that breaks."""
        while True:
            try:
                await self._follow()
            except Exception as error:  # without this task no cancel would be read any more
                self._not_heard(repr(error))
            await asyncio.sleep(RETRY_SECONDS)

    async def _follow(self) -> NoReturn:
        # Read committed: a batch's cancels are written in one transaction, all of them or none.
        async with started_reader(self._settings, isolation_level="read_committed") as reader:
            async for record in read_to_end(reader, self._topic, start=0):
                self._note(record)
            self._heard()
            self._caught_up.set()
            read_at = time.time()
            while True:
                for records in (await reader.getmany(self._topic, timeout_ms=1000)).values():
                    for record in records:
                        self._note(record)
                self._listen_for_silence(reader, read_at)

    def _listen_for_silence(self, reader: Reader, read_at: float) -> None:
        """Notice a broker that doesn't answer: aiokafka asks again and again and says nothing.

        Of an empty topic there may be no answer at all since it was read to its end, at `read_at`.
        """
        answered_ms = reader.last_poll_timestamp(self._topic)
        answered_at = read_at if answered_ms is None else answered_ms / 1000
        if time.time() - answered_at > SILENT_SECONDS:
            self._not_heard(f"no answer for {SILENT_SECONDS:g} s")
        else:
            self._heard()

    def _heard(self) -> None:
        if self.unheard is not None:
            log.info("control.heard", topic=self._topic.topic)
        self.unheard = None

    def _not_heard(self, reason: str) -> None:
        if self.unheard != reason:
            log.warning("control.not_heard", topic=self._topic.topic, reason=reason)
        self.unheard = reason

    def _note(self, record: AnyRecord) -> None:
        if record.value is None:
            return
        try:
            if record.key == RESUME_KEY:
                self._resume(Resume.read(record.value), dict(record.headers).get(TOPIC_ID))
            else:
                self._cancel(Cancel.read(record.value))
        except InvalidMessage as error:
            log.warning("control.ignored", offset=record.offset, reason=str(error))

    def _resume(self, resume: Resume, topic_id: bytes | None) -> None:
        """A resume that names no topic, since others write it, holds for any."""
        topic = (topic_id or b"").decode(errors="replace")
        after = self._resumed_through.get(topic, -1)
        self._resumed_through[topic] = max(after, resume.after_offset)
        self._resumed.set()

    def _cancel(self, cancel: Cancel) -> None:
        before = max(cancel.before_offset, self._before.get(cancel.job_id, 0))
        self._before[cancel.job_id] = before
        covered = [key for key in self._running if key[0] == cancel.job_id and key[1] < before]
        for key in covered:
            # Taken out, since each job is cancelled once: a second cancel would interrupt what
            # the job does to end, and the count of cancels tells ours from the lane's.
            self._running.pop(key).cancel()
