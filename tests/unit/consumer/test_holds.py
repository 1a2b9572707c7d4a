import asyncio
from collections.abc import Callable

import pytest

from consumer.errors import JobFailed, Unavailable
from consumer.job.holds import BACKOFF, Holds
from consumer.telemetry.metrics import Metrics


def down(retry_after: float | None = None, words: str = "S3 is down") -> Unavailable:
    """The error of a service that is down."""
    return Unavailable("storage_unavailable", words, stage="fetch", retry_after=retry_after)


class Storage:
    """A service that is down until it is mended, or that answers from a script."""

    def __init__(self, *script: Exception | str) -> None:
        self.script = list(script)
        self.mended = False
        self.asked = 0

    async def __call__(self) -> str:
        """Answer, or raise that it is down."""
        self.asked += 1
        answer = self.script.pop(0) if self.script else ("photo" if self.mended else down())
        if isinstance(answer, Exception):
            raise answer
        return answer


class Waits:
    """Notes each wait; `until` waits for so many."""

    def __init__(self, then: Callable[[], None] = lambda: None) -> None:
        self.seconds: list[float] = []
        self.begun = asyncio.Condition()
        self._then = then

    async def __call__(self, error: Unavailable, delay: float) -> None:
        """Note a wait."""
        self.seconds.append(delay)
        self._then()
        async with self.begun:
            self.begun.notify_all()

    async def until(self, number: int) -> None:
        """Wait until so many waits have begun."""
        async with self.begun:
            await self.begun.wait_for(lambda: len(self.seconds) >= number)


class Jitter:
    """Makes every wait as long as the test wants."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __call__(self, low: float, high: float) -> float:
        """Give the wait, whatever the limits."""
        return self.seconds


AT_ONCE = Jitter(0.0)
LONGER_THAN_THE_TEST = 3600.0


async def test_an_answer_at_once_is_no_hold() -> None:
    """What works is not waited for, and no retry is published."""
    holds, waits = Holds(metrics=Metrics()), Waits()
    assert await holds.until_available(Storage("photo"), on_retry=waits) == "photo"
    assert waits.seconds == []


async def test_a_hold_lasts_until_the_service_answers() -> None:
    """While it lasts it is seen, with its reason and in the metrics; then it is gone."""
    metrics = Metrics()
    holds = Holds(metrics=metrics, jitter=AT_ONCE)
    gauge = metrics.holding.labels("storage_unavailable")
    seen: list[tuple[list[str], float]] = []
    waits = Waits(lambda: seen.append((holds.reasons(), gauge._value.get())))
    storage = Storage(down(), down(words="wrong key"), "photo")
    assert await holds.until_available(storage, on_retry=waits) == "photo"
    assert seen == [
        (["storage_unavailable: S3 is down"], 1),
        (["storage_unavailable: wrong key"], 1),
    ]
    assert holds.reasons() == []
    assert gauge._value.get() == 0


async def test_backoff_grows_to_ten_seconds_and_never_past() -> None:
    """Full jitter from nothing to 1, 2, 4, 8, 10, 10 … seconds, however long it lasts."""
    limits: list[float] = []

    def jitter(low: float, high: float) -> float:
        assert low == 0
        limits.append(high)
        return 0.0

    holds = Holds(metrics=Metrics(), jitter=jitter)
    await holds.until_available(Storage(*[down()] * 2000, "photo"), on_retry=Waits())
    assert limits[:6] == [1, 2, 4, 8, BACKOFF.longest, BACKOFF.longest]
    assert max(limits) == BACKOFF.longest
    assert len(limits) == 2000


async def test_what_the_service_asks_for_lengthens_the_wait() -> None:
    """A `Retry-After` counts when it is longer than the back-off."""
    holds, waits = Holds(metrics=Metrics(), jitter=AT_ONCE), Waits()
    await holds.until_available(Storage(down(0.02), down(), "photo"), on_retry=waits)
    assert waits.seconds == [0.02, 0.0]


async def test_one_answer_wakes_all_that_wait_for_the_service() -> None:
    """Each back-off ends once S3 is back."""
    jitter = Jitter(LONGER_THAN_THE_TEST)
    holds, storage, waits = Holds(metrics=Metrics(), jitter=jitter), Storage(), Waits()
    holders = [
        asyncio.create_task(holds.until_available(storage, on_retry=waits)) for _ in range(5)
    ]
    await waits.until(5)
    storage.mended = True
    jitter.seconds = 0  # for a sixth, which comes now
    answer = await holds.until_available(Storage(down(), "photo"), on_retry=Waits())
    assert answer == "photo"
    assert await asyncio.gather(*holders) == ["photo"] * 5
    assert holds.reasons() == []


async def test_an_answer_wakes_none_that_wait_for_another_service() -> None:
    """The callback may still be down when S3 is back."""
    jitter = Jitter(LONGER_THAN_THE_TEST)
    holds, waits = Holds(metrics=Metrics(), jitter=jitter), Waits()
    callback = Storage(Unavailable("callback_unavailable", "is down", stage="callback"))
    waiting = asyncio.create_task(holds.until_available(callback, on_retry=waits))
    await waits.until(1)
    jitter.seconds = 0
    await holds.until_available(Storage(down(), "photo"), on_retry=Waits())
    await asyncio.sleep(0)
    assert callback.asked == 1
    assert holds.reasons() == ["callback_unavailable: is down"]
    waiting.cancel()


async def test_a_failure_for_good_ends_the_hold() -> None:
    """S3 is back and has no such image: the job fails."""
    holds, waits = Holds(metrics=Metrics(), jitter=AT_ONCE), Waits()
    gone = JobFailed("image_not_found", "no such key", stage="fetch")
    with pytest.raises(JobFailed) as raised:
        await holds.until_available(Storage(down(), gone), on_retry=waits)
    assert raised.value is gone
    assert holds.reasons() == []


async def test_a_cancelled_hold_is_no_hold() -> None:
    """An operator's cancel, or the end of the process, leaves nothing behind."""
    metrics = Metrics()
    holds, waits = Holds(metrics=metrics, jitter=Jitter(LONGER_THAN_THE_TEST)), Waits()
    waiting = asyncio.create_task(holds.until_available(Storage(), on_retry=waits))
    await waits.until(1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert holds.reasons() == []
    assert metrics.holding.labels("storage_unavailable")._value.get() == 0


async def test_an_event_that_cannot_be_published_ends_the_hold() -> None:
    """A lost lane comes out of a hold as it comes out of anything else."""
    holds = Holds(metrics=Metrics(), jitter=AT_ONCE)

    async def lost(error: Unavailable, delay: float) -> None:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await holds.until_available(Storage(), on_retry=lost)
    assert holds.reasons() == []


async def test_a_failure_known_before_is_waited_for_first() -> None:
    """The callback's fifth retry has just failed: the next try comes after a wait."""
    holds, waits, storage = Holds(metrics=Metrics(), jitter=AT_ONCE), Waits(), Storage("photo")
    await holds.until_available(storage, on_retry=waits, failed=down())
    assert (len(waits.seconds), storage.asked) == (1, 1)


def test_what_anybody_may_read_names_services_and_no_users_objects() -> None:
    """Neither where a URL leads nor what an answer says; the event and the log keep both."""
    error = Unavailable(
        "storage_unavailable",
        'S3: Could not connect to "https://s3.example/uploads/u-42/front.jpg?versionId=7"',
        stage="fetch",
    )
    assert error.for_anybody == 'S3: Could not connect to "https://s3.example"'
    error = Unavailable(
        "callback_unavailable",
        "MASK_ASSET_URL (http://masks:8003) answered 500: no room for u-42/front.png",
        stage="callback",
        quoted=": no room for u-42/front.png",
    )
    assert error.for_anybody == "MASK_ASSET_URL (http://masks:8003) answered 500…"
    assert "u-42" in str(error)
