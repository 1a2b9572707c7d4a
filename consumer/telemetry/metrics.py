"""Every metric of the consumer, in one list."""

import asyncio
import platform
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from importlib.metadata import version
from typing import Any, NoReturn

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from consumer.errors import HALT_REASONS
from consumer.telemetry.pulse import Pulse
from schemas.status import ERROR_CODES, ErrorCode

STAGES = ("queued", "fetch", "preprocess", "segment", "masks", "callback", "total")
"""The stages of a job, as in a status event's `timings_ms`."""

HELD: tuple[ErrorCode, ...] = (
    "storage_unavailable",
    "callback_unavailable",
    "internal_error",
)
"""What the line can wait for; `internal_error` is a model's server."""

TRIED = ("stored", "rejected", "unavailable", "misconfigured")
"""How a try of the callback can end."""

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

        self.halted = Gauge(
            "mask_halted",
            "1 while the line has halted until a person acts, by reason.",
            ["reason"],
            registry=registry,
        )

        # Who has the line.
        self.owner = Gauge(
            "mask_owner",
            "1 while this member has the partition, its lane open or halted.",
            registry=registry,
        )
        self.standby = Gauge(
            "mask_standby",
            "1 while this member is in the group without the partition.",
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

        self.last_settled = Gauge(
            "mask_last_settled_timestamp_seconds",
            "When the lane last settled something, or else was opened.",
            registry=registry,
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
        self.unsettled_jobs = Gauge(
            "mask_unsettled_jobs",
            "Records not yet settled, an upper bound; 0 once there is none.",
            registry=registry,
        )
        self.oldest_job = Gauge(
            "mask_oldest_job_timestamp_seconds",
            "Timestamp of the oldest record that was taken and isn't settled.",
            registry=registry,
        )
        self.time_to_empty = Gauge(
            "mask_time_to_empty_seconds",
            "How long the unsettled jobs take at the rate of the last minute.",
            registry=registry,
        )

        # What runs here, and for how long it may.
        self.certificate_expiry = Gauge(
            "mask_certificate_expiry_timestamp_seconds",
            "When the certificate expires that a setting names; of authorities, the last.",
            ["setting"],
            registry=registry,
        )
        self.build_info = Gauge(
            "mask_build_info", "Always 1.", ["version", "python"], registry=registry
        )
        self.model_info = Gauge(
            "mask_model_info",
            "Always 1, for each model that is installed.",
            ["model", "sha256"],
            registry=registry,
        )

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

        self._begin_at_nought()
        self.build_info.labels(version("maskline"), platform.python_version()).set(1)

    def _begin_at_nought(self) -> None:
        """Show all series from the start: of one that comes later, the first value is no rise."""
        for held in HELD:
            self.holding.labels(held)
        for code in ERROR_CODES:
            self.jobs.labels("failed", code)
            self.dead_letters.labels(code)
        for state in ("completed", "cancelled"):
            self.jobs.labels(state, "")
        for outcome in TRIED:
            self.callback_tries.labels(outcome)

    def follow(self, stats: Callable[[], Mapping[str, Any]]) -> None:
        """Show the line's gauges as `/stats` has them at the moment of each scrape."""

        def read(name: str) -> float:
            value = stats()[name]
            return float("nan") if value is None else float(value)

        self.in_flight.set_function(lambda: read("in_flight"))
        self.position.set_function(lambda: read("position"))
        self.end_offset.set_function(lambda: read("end_offset"))
        self.lag.set_function(lambda: read("end_offset") - read("position"))

    def feel(self, pulse: Callable[[], Pulse]) -> None:
        """Show the line's pulse at each scrape; what isn't known is no number."""

        def show(gauge: Gauge, read: Callable[[Pulse], float | None]) -> None:
            def value() -> float:
                now = read(pulse())
                return float("nan") if now is None else float(now)

            gauge.set_function(value)

        show(self.owner, lambda now: now.owner)
        show(self.standby, lambda now: now.standby)
        show(self.last_settled, lambda now: now.settled_at)
        show(self.oldest_job, lambda now: now.oldest_at)
        show(self.unsettled_jobs, lambda now: now.unsettled)
        show(self.time_to_empty, Pulse.seconds_to_empty)
        for reason in HALT_REASONS:
            show(
                self.halted.labels(reason),
                partial(lambda reason, now: now.halt_reason == reason, reason),
            )

    def show_models(self, models: Iterable[tuple[str, str]]) -> None:
        """Show each installed model by its name and SHA-256."""
        for name, sha256 in models:
            self.model_info.labels(name, sha256).set(1)

    def show_certificates(self, expiries: Mapping[str, Callable[[], float]]) -> None:
        """Show at each scrape when the certificate of each setting expires."""
        for setting, expiry in expiries.items():
            self.certificate_expiry.labels(setting).set_function(expiry)

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
