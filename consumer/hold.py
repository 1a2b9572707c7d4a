"""What the line waits for: services that can't serve any job now, and the jobs that need them.

Signatures::

    Holds(*, metrics: Metrics)
    holds.reasons() -> list[str]
    await holds.until_available(attempt, *, on_retry: OnRetry) -> T
    OnRetry = Callable[[Unavailable, float], Awaitable[None]]   # the fault, the wait in seconds
"""

import asyncio
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, TypeVar

from consumer.errors import Unavailable
from consumer.metrics import Metrics
from schemas.status import ErrorCode

T = TypeVar("T")
OnRetry = Callable[[Unavailable, float], Awaitable[None]]
"""Told of each wait before it begins: the fault, and at most how many seconds it waits."""

LONGEST_BACKOFF: Final = 10.0
LONGEST_ASKED: Final = 300.0
"""A `Retry-After` beyond this many seconds is cut: the line shouldn't sleep for a day."""


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
        """Say what the line waits for now, each reason once; empty when it doesn't."""
        return sorted({f"{error.code}: {error}" for error in self._waiting.values()})

    async def until_available(
        self,
        attempt: Callable[[], Awaitable[T]],
        *,
        on_retry: OnRetry,
        failed: Unavailable | None = None,
    ) -> T:
        """Repeat the attempt for as long as it says `Unavailable`; return what it returns.

        Whatever else it raises is raised. `failed` is a failure that has just happened: then a
        wait comes before the first attempt.
        """
        if failed is None:
            try:
                return await attempt()
            except Unavailable as error:
                failed = error
        return await self._hold(attempt, on_retry, failed)

    async def _hold(
        self, attempt: Callable[[], Awaitable[T]], on_retry: OnRetry, failed: Unavailable
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
                # Taken before the attempt: an answer to another that comes meanwhile counts.
                answered = self._answered[code]
                try:
                    return await attempt()
                except Unavailable as error:
                    failed = error
        finally:
            self._waiting.pop(place, None)
            self._metrics.holding.labels(code).dec()
            # The service has answered, or nobody asks any more: the others try at once.
            self._answered.pop(code, answered).set()

    def _delay(self, tries: int, failed: Unavailable) -> float:
        """Full jitter: jobs that were turned away together don't come back together."""
        backoff = self._jitter(0.0, min(LONGEST_BACKOFF, 2.0 ** min(tries, 16)))
        return max(backoff, failed.retry_after or 0.0)


def asked_wait(retry_after: str | None) -> float | None:
    """Read a `Retry-After` header, seconds or an HTTP date, as seconds; None if it says nothing."""
    if retry_after is None:
        return None
    try:
        if retry_after.strip().isdecimal():
            seconds = float(retry_after)
        else:
            until = parsedate_to_datetime(retry_after)
            seconds = (
                until.replace(tzinfo=until.tzinfo or UTC) - datetime.now(UTC)
            ).total_seconds()
    except (ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), LONGEST_ASKED)


async def _sleep(seconds: float, *, until: asyncio.Event) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await until.wait()
