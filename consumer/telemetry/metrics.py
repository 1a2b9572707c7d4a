"""Every metric of the consumer, in one list."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from schemas.status import ErrorCode

STAGES = ("queued", "fetch", "preprocess", "segment", "masks", "callback", "total")
"""The stages of a job, as in a status event's `timings_ms`."""

HELD: tuple[ErrorCode, ...] = (
    "storage_unavailable",
    "callback_unavailable",
    "internal_error",
)
"""What the line can wait for; `internal_error` is a model's server."""

_STAGE_SECONDS = (
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800
)  # fmt: skip
_LAG_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
_RUN_JOBS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
_LOOP_INTERVAL = 0.05


class Metrics:
    """The consumer's metrics, in a registry of their own, so that two can live in one process."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self.registry = registry

        # The job's way.
        self.jobs = Counter(
            "mask_jobs",
            "Jobs settled, by terminal state; code is empty unless the job failed.",
            ["state", "code"],
            registry=registry,
        )
        self.dead_letters = Counter(
            "mask_dead_letters", "Dead letters settled, by code.", ["code"], registry=registry
        )
        self.stage_seconds = Histogram(
            "mask_stage_seconds",
            "How long a stage of a job took; queued counts from the record's timestamp.",
            ["stage"],
            buckets=_STAGE_SECONDS,
            registry=registry,
        )
        self.in_flight = Gauge(
            "mask_in_flight", "Records taken and not yet settled.", registry=registry
        )

        # What the line waits for.
        self.holding = Gauge(
            "mask_holding",
            "Jobs that wait for a service to come back, by the service's code.",
            ["code"],
            registry=registry,
        )
        self.callback_tries = Counter(
            "mask_callback_tries",
            "Tries of the callback: stored, rejected, unavailable or misconfigured.",
            ["outcome"],
            registry=registry,
        )

        # Settling.
        self.settle_seconds = Histogram(
            "mask_settle_seconds",
            "How long a transaction took that settled a batch of jobs.",
            buckets=_STAGE_SECONDS,
            registry=registry,
        )
        self.settle_run_jobs = Histogram(
            "mask_settle_run_jobs",
            "Jobs settled in one transaction.",
            buckets=_RUN_JOBS,
            registry=registry,
        )
        self.lanes_lost = Counter(
            "mask_lanes_lost", "Times that a lane was fenced or lost.", registry=registry
        )

        # Where the line is: offsets have gaps, so the lag is an upper bound of records.
        self.position = Gauge(
            "mask_position", "Offset of the next record to settle.", registry=registry
        )
        self.end_offset = Gauge(
            "mask_end_offset", "End offset of the jobs topic.", registry=registry
        )
        self.lag = Gauge(
            "mask_lag", "Offsets between position and end, transaction markers included.",
            registry=registry,
        )  # fmt: skip

        # The process itself: memory, descriptors and processor time as mask_process_….
        self.loop_lag_seconds = Histogram(
            "mask_loop_lag_seconds",
            "How late the event loop woke a sleeper.",
            buckets=_LAG_SECONDS,
            registry=registry,
        )
        self.log_lines_dropped = Counter(
            "mask_log_lines_dropped",
            "Lines of the log that could not be written.",
            registry=registry,
        )
        ProcessCollector(namespace="mask", registry=registry)

        for code in HELD:  # a gauge that is absent until the first hold can't be alerted on
            self.holding.labels(code)

    def follow(self, stats: Callable[[], Mapping[str, Any]]) -> None:
        """Show the line's gauges as `/stats` has them at the moment of each scrape."""

        def read(name: str) -> float:
            value = stats()[name]
            return float("nan") if value is None else float(value)

        self.in_flight.set_function(lambda: read("in_flight"))
        self.position.set_function(lambda: read("position"))
        self.end_offset.set_function(lambda: read("end_offset"))
        self.lag.set_function(lambda: read("end_offset") - read("position"))

    def batch_settled(self, jobs: int, *, seconds: float) -> None:
        """Count a transaction that has settled so many jobs in so many seconds."""
        self.settle_seconds.observe(seconds)
        self.settle_run_jobs.observe(jobs)

    def job_settled(
        self, state: str, *, code: str, dead_letter: bool, milliseconds: Mapping[str, float]
    ) -> None:
        """Count a job by its terminal state.

        `code` is empty unless the job failed; `milliseconds` are its stages, as in `timings_ms`.
        """
        self.jobs.labels(state, code).inc()
        if dead_letter:
            self.dead_letters.labels(code).inc()
        for stage, duration in milliseconds.items():
            self.stage_seconds.labels(stage).observe(duration / 1000)


async def watch_loop(metrics: Metrics) -> NoReturn:
    """Measure the event loop's lag 20 times a second, until cancelled."""
    while True:
        due = time.perf_counter() + _LOOP_INTERVAL
        await asyncio.sleep(_LOOP_INTERVAL)
        metrics.loop_lag_seconds.observe(max(0.0, time.perf_counter() - due))
