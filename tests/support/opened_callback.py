"""A callback with what surrounds it: settings, holds, metrics, and a clock of its own."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from consumer.errors import Unavailable
from consumer.job.callback import Callback
from consumer.job.holds import Holds
from consumer.job.record import Record
from consumer.settings import CallbackSettings, load
from consumer.telemetry.metrics import Metrics
from schemas.job import Job

SECRET = "s3cret-value"  # noqa: S105 - of tests
JOB = Job(job_id="j-1", user_id="u-42", image="s3://uploads/front.jpg")
UPPER, LOWER = b"\x89PNG upper \r\n--", b"\x89PNG lower"
MASKS: Mapping[str, bytes] = {"upper_body_mask": UPPER, "lower_body_mask": LOWER}


@dataclass
class OpenedCallback:
    """A callback, and what it did."""

    callback: Callback
    holds: Holds
    metrics: Metrics
    clock: "Clock"
    retries: list[tuple[str, float, list[str]]] = field(default_factory=list)
    """Of each wait: the reason, the seconds, and what the line held for then."""
    held: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def slept(self) -> list[float]:
        """The waits between tries, holds left out."""
        return self.clock.slept

    async def post(
        self, *, traceparent: str | None = None, files: Mapping[str, bytes] = MASKS, **fields: Any
    ) -> dict[str, str]:
        """Post the two masks of a usual job, or of one with other files and fields."""
        headers = [("traceparent", traceparent.encode())] if traceparent else []
        return await self.callback.post(
            record=Record("mask.jobs", 0, 17, 0, b"j-1", b"{}", headers),
            job=JOB.model_copy(update=fields),
            files=files,
            on_retry=self.on_retry,
        )

    async def on_retry(self, error: Unavailable, delay: float) -> None:
        """Note a wait."""
        self.retries.append((str(error), delay, self.holds.reasons()))
        if self.holds.reasons():
            self.held.set()


class Clock:
    """Goes on by what is slept, at once, and by what is told."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        """Tell the time in seconds."""
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Let the time pass."""
        self.slept.append(seconds)
        self.now += seconds


@asynccontextmanager
async def open_callback(
    monkeypatch: pytest.MonkeyPatch, url: str, **settings: object
) -> AsyncIterator[OpenedCallback]:
    """Open a callback to the URL, with more settings by their names in lower case."""
    monkeypatch.setenv("MASK_ASSET_URL", url)
    monkeypatch.setenv("MASK_COMPONENT_SECRET", SECRET)
    for name, value in {"callback_timeout_seconds": 5, **settings}.items():
        monkeypatch.setenv(name.upper(), str(value))
    metrics, clock = Metrics(), Clock()
    holds = Holds(metrics=metrics, jitter=lambda low, high: 0.0)
    async with Callback(
        load(CallbackSettings), holds=holds, metrics=metrics, sleep=clock.sleep, clock=clock
    ) as callback:
        yield OpenedCallback(callback, holds, metrics, clock)
