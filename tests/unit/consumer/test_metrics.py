import asyncio
import math
import time
from collections.abc import Iterator

from prometheus_client import Metric

from consumer.job.outcome import Failure, Outcome
from consumer.job.record import Record
from consumer.line.throughput import Throughput
from consumer.telemetry.metrics import Metrics, watch_loop
from schemas.status import ErrorInfo, TimingsMs


def samples(metrics: Metrics) -> dict[str, float]:
    """Read every sample, named as Prometheus would show it."""

    def read(family: Metric) -> Iterator[tuple[str, float]]:
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sample.labels.items())
            yield f"{sample.name}{{{labels}}}" if labels else sample.name, sample.value

    return dict(pair for family in metrics.registry.collect() for pair in read(family))


def outcome(offset: int, error: ErrorInfo | None = None) -> Outcome:
    """Make an outcome that took a tenth of a second."""
    record = Record("mask.jobs", 0, offset, 0, b"j", b"{}", [])
    return Outcome(
        record,
        "failed" if error else "completed",
        attempt=1,
        failure=Failure(error, "builtins.Exception") if error else None,
        timings=TimingsMs(fetch=100.0),
    )


def test_a_settled_batch_is_counted() -> None:
    """By state and code; failures also as dead letters, stages in seconds."""
    metrics = Metrics()
    error = ErrorInfo(code="invalid_image", message="x", stage="preprocess", retryable=False)
    Throughput(metrics).settled([outcome(0), outcome(1), outcome(2, error)], seconds=0.5)
    counted = samples(metrics)
    assert counted["mask_jobs_total{state=completed,code=}"] == 2
    assert counted["mask_jobs_total{state=failed,code=invalid_image}"] == 1
    assert counted["mask_dead_letters_total{code=invalid_image}"] == 1
    assert counted["mask_settle_run_jobs_sum"] == 3
    assert counted["mask_settle_seconds_sum"] == 0.5
    assert round(counted["mask_stage_seconds_sum{stage=fetch}"], 6) == 0.3


def test_the_lines_gauges_are_those_of_stats() -> None:
    """Read at each scrape; what isn't known is not a number, rather than nought."""
    metrics = Metrics()
    stats: dict[str, int | None] = {"in_flight": 3, "position": 17, "end_offset": 20}
    metrics.follow(lambda: stats)
    seen = samples(metrics)
    assert (seen["mask_in_flight"], seen["mask_position"], seen["mask_lag"]) == (3, 17, 3)
    stats.update(position=None, end_offset=None)
    seen = samples(metrics)
    assert math.isnan(seen["mask_position"])
    assert math.isnan(seen["mask_lag"])


def test_two_consumers_in_one_process_count_apart() -> None:
    """There is no registry of the whole process."""
    first, second = Metrics(), Metrics()
    first.lanes_lost.inc()
    assert samples(second)["mask_lanes_lost_total"] == 0


async def test_a_blocked_loop_is_seen() -> None:
    """A tenth of a second on the loop is a lag of nearly that."""
    metrics = Metrics()
    watch = asyncio.create_task(watch_loop(metrics))
    await asyncio.sleep(0.01)
    time.sleep(0.15)  # noqa: ASYNC251 - just what must not happen on the loop
    await asyncio.sleep(0.01)
    watch.cancel()
    counted = samples(metrics)
    assert counted["mask_loop_lag_seconds_bucket{le=0.05}"] < counted["mask_loop_lag_seconds_count"]
