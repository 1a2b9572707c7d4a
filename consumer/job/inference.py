"""Decode, inference and masks: in threads, one for each worker, ended at the deadline."""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
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
        self.slots = asyncio.Semaphore(workers)
        self._deadline_seconds = deadline_seconds
        self._limits = limits
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="segment")
        self._overdue: dict[Deadline, float] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def segment(
        self, photo: bytes, *, model: Engine, outputs: Sequence[str] | None
    ) -> Segmentation:
        """Segment `photo` in a thread of its own; call it holding one of `slots`.

        Returns only when the thread is done, so that the slot is free when it looks free.

        Raises:
            SegmentationError: what is wrong with the photo, or `deadline_exceeded`.
            Unavailable: the server that runs the model serves no photo now.
        """
        deadline = Deadline(self._deadline_seconds)
        call = partial(
            segment, photo, model=model, outputs=outputs, limits=self._limits, deadline=deadline
        )
        work = asyncio.get_running_loop().run_in_executor(self._threads, call)
        try:
            await asyncio.wait([work], timeout=self._deadline_seconds)
        finally:
            if not work.done():
                await self._end(work, deadline)
        try:
            return work.result()
        except EngineUnavailable as error:
            raise _unavailable(error, error.retry_after) from error

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
        """How long the oldest thread has been running on after its deadline."""
        return max((time.monotonic() - since for since in self._overdue.values()), default=0.0)

    async def _end(self, work: asyncio.Future[Segmentation], deadline: Deadline) -> None:
        self._overdue[deadline] = time.monotonic()
        deadline.expire()
        try:
            await asyncio.wait([work])
        finally:
            del self._overdue[deadline]


def _unavailable(error: Exception, retry_after: str | None = None) -> Unavailable:
    """What the line waits for; the contract has no code of its own for it."""
    return Unavailable(
        "internal_error", str(error), stage="segment", retry_after=parse_retry_after(retry_after)
    )
