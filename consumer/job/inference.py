"""Decode, inference and masks: in threads, one for each worker, ended at the deadline."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import Self

from consumer.backoff import parse_retry_after
from consumer.errors import Unavailable
from segmentation.deadline import Deadline
from segmentation.errors import EngineUnavailable, ModelError
from segmentation.model.engine import Engine
from segmentation.segment import ImageLimits, Segmentation, segment


class Inference:
    """The workers that turn a photo into masks, off the event loop."""

    def __init__(self, *, workers: int, deadline_seconds: float, limits: ImageLimits) -> None:
        self._slots = asyncio.Semaphore(workers)
        self._deadline_seconds = deadline_seconds
        self._limits = limits
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="segment")
        self._overdue: dict[Deadline, float] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator["Slot"]:
        """Wait for a slot and hold it; it is free again only when its thread is done."""
        await self._slots.acquire()
        slot = Slot(
            self._threads,
            seconds=self._deadline_seconds,
            limits=self._limits,
            overdue=self._overdue,
        )
        try:
            yield slot
        finally:
            slot.when_done(self._slots.release)

    async def check(self, model: Engine) -> None:
        """Ask the server that runs the model whether a segmentation is worth a try; needs no slot.

        Raises:
            Unavailable: it isn't. The same while the server's model doesn't fit the manifest.
        """
        try:
            await asyncio.to_thread(model.check)
        except EngineUnavailable as error:
            raise _unavailable(error, error.retry_after) from error
        except ModelError as error:
            raise _unavailable(error) from error

    def stuck_seconds(self) -> float:
        """How long the oldest thread has run on after its deadline, or after its job's end."""
        return max((time.monotonic() - since for since in self._overdue.values()), default=0.0)


class Slot:
    """The right to segment a photo in a thread of its own."""

    def __init__(
        self,
        threads: ThreadPoolExecutor,
        *,
        seconds: float,
        limits: ImageLimits,
        overdue: dict[Deadline, float],
    ) -> None:
        self._threads = threads
        self._seconds = seconds
        self._limits = limits
        self._overdue = overdue
        self._work: asyncio.Future[Segmentation] | None = None

    async def segment(
        self, photo: bytes, *, model: Engine, outputs: Sequence[str] | None
    ) -> Segmentation:
        """Segment `photo`; a slot is for one photo.

        It returns only when the thread is done, unless it is cancelled: then the job ends at once,
        the thread as soon as it can, and the slot is free after the thread.

        Raises:
            SegmentationError: what is wrong with the photo, or `deadline_exceeded`.
            Unavailable: the server that runs the model serves no photo now.
        """
        deadline = Deadline(self._seconds)
        call = partial(
            segment, photo, model=model, outputs=outputs, limits=self._limits, deadline=deadline
        )
        work = self._work = asyncio.get_running_loop().run_in_executor(self._threads, call)
        try:
            await asyncio.wait([work], timeout=self._seconds)
        finally:
            if not work.done():
                self._expire(work, deadline)
        await asyncio.wait([work])
        try:
            return work.result()
        except EngineUnavailable as error:
            raise _unavailable(error, error.retry_after) from error

    def when_done(self, then: Callable[[], None]) -> None:
        """Call `then` when no thread is at work for this slot any more."""
        if self._work is None or self._work.done():
            then()
        else:
            self._work.add_done_callback(lambda _: then())

    def _expire(self, work: asyncio.Future[Segmentation], deadline: Deadline) -> None:
        """End what the thread does, and keep in mind how long it goes on all the same."""
        self._overdue[deadline] = time.monotonic()
        deadline.expire()

        def ended(work: asyncio.Future[Segmentation]) -> None:
            del self._overdue[deadline]
            if not work.cancelled():
                work.exception()  # seen, also where nobody waits for the result any more

        work.add_done_callback(ended)


def _unavailable(error: Exception, retry_after: str | None = None) -> Unavailable:
    """What the line waits for; the contract has no code of its own for it."""
    return Unavailable(
        "internal_error", str(error), stage="segment", retry_after=parse_retry_after(retry_after)
    )
