"""Loop health: how late the consumer's event loop is while it works on very large photos."""

import asyncio
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from producer_tools.local.stack import LocalStack
from tests.benchmarks.lines import make_line, open_lane, running, seconds_until_settled, upload
from tests.benchmarks.photos import jpeg
from tests.benchmarks.tables import show

MEGAPIXELS = 24
PHOTOS = 4
WORKERS = (2, 4)
AIM_P99, AIM_MAX = 0.050, 0.250


def measure(stack: LocalStack, *, rounds: int) -> dict[int, tuple[float, float]]:
    """Print the table; give the lag's 99th percentile and maximum by number of workers."""
    photo = jpeg(MEGAPIXELS)
    images = upload(stack, [photo] * PHOTOS)
    lags = {workers: _lags(stack, images, workers, rounds) for workers in WORKERS}
    found = {workers: (_percentile(seen, 0.99), seen[-1]) for workers, seen in lags.items()}
    show(
        f"Event loop's lag, milliseconds: {PHOTOS} photos of {MEGAPIXELS} megapixels at once,"
        f" {rounds} rounds",
        ["workers", "samples", "median", "99th percentile", "most"],
        [
            [str(workers), str(len(seen))]
            + [f"{1000 * _percentile(seen, part):.1f}" for part in (0.5, 0.99, 1.0)]
            for workers, seen in lags.items()
        ],
        note=f"aims: {AIM_P99 * 1000:.0f} and {AIM_MAX * 1000:.0f} ms, the machine otherwise idle",
    )
    return found


def _lags(stack: LocalStack, images: Sequence[str], workers: int, rounds: int) -> list[float]:
    """The lags of all rounds, sorted."""
    line = asyncio.run(make_line(stack))
    spans: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "lags"
        watched, setting = "tests.benchmarks.watched_consumer", str(workers)
        with running(stack, line, str(file), module=watched, WORKER_COUNT=setting) as consumer:
            asyncio.run(open_lane(consumer))
            for _ in range(rounds):
                begin = time.monotonic()
                asyncio.run(seconds_until_settled(stack, line, images))
                spans.append((begin, time.monotonic()))
        samples = [tuple(map(float, row.split())) for row in file.read_text().splitlines()]
    return sorted(late for due, late in samples if any(begin <= due <= end for begin, end in spans))


def _percentile(seen: Sequence[float], part: float) -> float:
    return seen[min(len(seen) - 1, int(part * len(seen)))]
