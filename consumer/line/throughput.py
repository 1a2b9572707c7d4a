"""What has been settled: counted for `/stats` and the metrics."""

import time
from collections import deque
from collections.abc import Sequence

from consumer.job.outcome import Outcome
from consumer.telemetry.metrics import Metrics

RATE_SECONDS = 60.0


class Throughput:
    """Counts settled jobs, and how many a second there were lately."""

    def __init__(self, metrics: Metrics, *, dead_letters: bool = True) -> None:
        """`dead_letters`: whether jobs that fail get one; in a replay run they don't."""
        self._metrics = metrics
        self._dead_letters = dead_letters
        self._started = time.monotonic()
        self._recent: deque[tuple[float, int]] = deque()
        self.jobs = 0

    def settled(self, batch: Sequence[Outcome], *, seconds: float) -> None:
        """Count a batch that took `seconds` to settle."""
        self.jobs += len(batch)
        self._recent.append((time.monotonic(), len(batch)))
        self._metrics.batch_settled(len(batch), seconds=seconds)
        for outcome in batch:
            self._metrics.job_settled(
                outcome.state,
                code=outcome.failure.error.code if outcome.failure else "",
                dead_letter=self._dead_letters and outcome.failure is not None,
                milliseconds=outcome.timings.model_dump(exclude_none=True)
                if outcome.timings
                else {},
            )

    def lane_lost(self) -> None:
        """Count a lane that was lost."""
        self._metrics.lanes_lost.inc()

    def uptime(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    def jobs_per_second(self) -> float:
        """Settled jobs a second over the last minute, or since the start if that is less."""
        since = time.monotonic() - RATE_SECONDS
        while self._recent and self._recent[0][0] < since:
            self._recent.popleft()
        return sum(jobs for _, jobs in self._recent) / max(1.0, min(RATE_SECONDS, self.uptime()))
