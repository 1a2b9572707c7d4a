"""Holds: the line waits for a service that no job can do without, for as long as it takes."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from consumer.backoff import Backoff
from consumer.errors import Unavailable
from consumer.telemetry.metrics import Metrics
from schemas.status import ErrorCode

T = TypeVar("T")
OnRetry = Callable[[Unavailable, float], Awaitable[None]]
"""Called before each wait, with the fault and the longest wait in seconds."""

BACKOFF = Backoff(first=1.0, longest=10.0, least_share=0.0)
"""Full jitter: jobs that were turned away together don't come back together."""


class Holds:
    """The jobs that wait for a service, and why; read by `/readyz`."""

    def __init__(
        self, *, metrics: Metrics, jitter: Callable[[float, float], float] = random.uniform
    ) -> None:
        self._metrics = metrics
        self._jitter = jitter
        self._waiting: dict[object, Unavailable] = {}
        self._answered: dict[ErrorCode, asyncio.Event] = defaultdict(asyncio.Event)

    def reasons(self) -> list[str]:
        """Say what the line waits for now, each reason once; empty when it doesn't.

        It is for anybody who reaches the health port; the log and the events have all of it.
        """
        return sorted({f"{error.code}: {error.for_anybody}" for error in self._waiting.values()})

    async def until_available(
        self,
        call: Callable[[], Awaitable[T]],
        *,
        on_retry: OnRetry,
        failed: Unavailable | None = None,
    ) -> T:
        """Repeat the call for as long as it raises `Unavailable`; return its result.

        Whatever else it raises is raised. `failed` is a failure that has just happened: then a
        wait comes before the first call.
        """
        if failed is None:
            try:
                return await call()
            except Unavailable as error:
                failed = error
        return await self._hold(call, on_retry, failed)

    async def _hold(
        self, call: Callable[[], Awaitable[T]], on_retry: OnRetry, failed: Unavailable
    ) -> T:
        code, place, tries = failed.code, object(), 0
        answered = self._answered[code]
        self._metrics.holding.labels(code).inc()
        try:
            while True:
                self._waiting[place] = failed
                delay = self._delay(tries, failed)
                await on_retry(failed, delay)
                await _sleep(delay, until=answered)
                tries += 1
                # Taken before the call: an answer to another job that comes meanwhile counts.
                answered = self._answered[code]
                try:
                    return await call()
                except Unavailable as error:
                    failed = error
        finally:
            self._waiting.pop(place, None)
            self._metrics.holding.labels(code).dec()
            # The service has answered, or no job waits any more: the others try at once.
            self._answered.pop(code, answered).set()

    def _delay(self, tries: int, failed: Unavailable) -> float:
        backoff = BACKOFF.delay(tries, uniform=self._jitter)
        return max(backoff, failed.retry_after or 0.0)


async def _sleep(seconds: float, *, until: asyncio.Event) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await until.wait()
