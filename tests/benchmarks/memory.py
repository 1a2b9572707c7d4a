"""Memory: what the consumer holds after 500 jobs, whether it grows from there, and its bound.

The photos are of 0.1 to 24 megapixels, mixed, with the default model, so that every allocation
comes in many sizes.
"""

import asyncio
import math
import random
import statistics
from collections.abc import Mapping, Sequence

import psutil

from consumer.settings import LineSettings
from producer_tools.local.child import Child
from producer_tools.local.stack import LocalStack
from tests.benchmarks.lines import make_line, open_lane, running, seconds_until_settled, upload
from tests.benchmarks.photos import SEED, jpeg
from tests.benchmarks.tables import show
from tests.support.line_names import LineNames

JOBS = 3000
SETTLED_IN = 500
STEP = 250
_SMALLEST, _LARGEST = 0.1, 24.0  # megapixels; each doubling as likely as any other
_PHOTOS = 40
_MEBIBYTE = 1024 * 1024
_AT_WORK = 3  # bytes a pixel of a JPEG, as measured in docs/models.md
_RUN = 95 * _MEBIBYTE  # of body-regions; the first one is over when a consumer is ready


def measure(
    stack: LocalStack, *, jobs: int = JOBS, settled_in: int = SETTLED_IN, largest: float = _LARGEST
) -> float:
    """Print the table; give the growth from `settled_in` jobs to the end, as a part of the former.

    Each figure is the median of resident memory over the last quarter of a step: it goes up and
    down with the photos that are under way.
    """
    chance = random.Random(SEED)
    sizes = [_SMALLEST * (largest / _SMALLEST) ** chance.random() for _ in range(_PHOTOS)]
    files = [jpeg(size, seed=index) for index, size in enumerate(sizes)]
    images = upload(stack, files)
    line = asyncio.run(make_line(stack))
    step = min(STEP, settled_in // 2)
    with running(stack, line) as consumer:
        asyncio.run(open_lane(consumer))
        held = {0: _resident(consumer)}
        for done in range(step, jobs + 1, step):
            chosen = [chance.choice(images) for _ in range(step)]
            held[done] = asyncio.run(_held(stack, line, consumer, chosen))
        bound = held[0] + _bound(sizes, files)
    after = {done: size / _MEBIBYTE for done, size in held.items() if done >= settled_in}
    slope, noise = _slope(after)
    show(
        f"Resident memory of the consumer, MiB: photos of {_SMALLEST:g} to {largest:g} megapixels",
        ["jobs", *map(str, held)],
        [["MiB", *(f"{size / _MEBIBYTE:.0f}" for size in held.values())]],
        note=f"from {settled_in} jobs on {slope:+.1f} MiB each 1,000 jobs, the noise being"
        f" {noise:.1f} (two standard errors); the formula's bound: {bound / _MEBIBYTE:.0f} MiB",
    )
    return held[max(held)] / held[settled_in] - 1


def _bound(sizes: Sequence[float], files: Sequence[bytes]) -> float:
    """What jobs may hold by docs/memory.md, in bytes, with the largest of these photos."""
    line, workers = LineSettings(), LineSettings().worker_count
    pixels = workers * max(sizes) * 1e6 * _AT_WORK
    return line.max_in_flight * max(map(len, files)) + pixels + (workers - 1) * _RUN


def _slope(held: Mapping[int, float]) -> tuple[float, float]:
    """Fit a line; give its rise for each 1,000 jobs, and twice the standard error of that."""
    jobs = [done / 1000 for done in held]
    rise, start = statistics.linear_regression(jobs, list(held.values()))
    errors = [size - start - rise * done for done, size in zip(jobs, held.values(), strict=True)]
    mean = statistics.fmean(jobs)
    spread = sum((done - mean) ** 2 for done in jobs)
    freedom = len(jobs) - 2
    return rise, 2 * math.sqrt(sum(error**2 for error in errors) / freedom / spread)


async def _held(
    stack: LocalStack, line: LineNames, consumer: Child, images: Sequence[str]
) -> float:
    """Work on the images; give the median of what was held over the last quarter of the time."""
    seen: list[float] = []

    async def watch() -> None:
        while True:
            seen.append(_resident(consumer))
            await asyncio.sleep(0.1)

    watching = asyncio.create_task(watch())
    await seconds_until_settled(stack, line, images)
    watching.cancel()
    last = sorted(seen[-max(1, len(seen) // 4) :])
    return last[len(last) // 2]


def _resident(consumer: Child) -> float:
    return float(psutil.Process(consumer.pid).memory_info().rss)
