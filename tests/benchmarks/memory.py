"""Memory: what the consumer holds after 500 jobs, and whether it still holds that after 2,000.

The photos are of 0.1 to 24 megapixels, mixed, with the default model, so that every allocation
comes in many sizes.
"""

import asyncio
import random
from collections.abc import Sequence

import psutil

from producer_tools.local.child import Child
from producer_tools.local.stack import LocalStack
from tests.benchmarks.lines import Line, make_line, our_consumer, seconds_until_settled, upload
from tests.benchmarks.photos import SEED, jpeg
from tests.benchmarks.tables import show

JOBS = 2000
SETTLED_IN = 500
STEP = 250
AIM = 0.10
_SMALLEST, _LARGEST = 0.1, 24.0  # megapixels; each doubling as likely as any other
_PHOTOS = 40
_MEBIBYTE = 1024 * 1024


def measure(
    stack: LocalStack, *, jobs: int = JOBS, settled_in: int = SETTLED_IN, largest: float = _LARGEST
) -> float:
    """Print the table; give the growth from `settled_in` jobs to the end, as a part of the former.

    Each figure is the median of resident memory over the last quarter of a step: it goes up and
    down with the photos that are under way.
    """
    chance = random.Random(SEED)
    sizes = [_SMALLEST * (largest / _SMALLEST) ** chance.random() for _ in range(_PHOTOS)]
    images = upload(stack, [jpeg(size, seed=index) for index, size in enumerate(sizes)])
    line = asyncio.run(make_line(stack, "memory"))
    step = min(STEP, settled_in)
    with our_consumer(stack, line) as consumer:
        held = {0: _resident(consumer)}
        for done in range(step, jobs + 1, step):
            chosen = [chance.choice(images) for _ in range(step)]
            held[done] = asyncio.run(_held(stack, line, consumer, chosen))
        peak = psutil.Process(consumer.pid).memory_info().rss
    growth = held[max(held)] / held[settled_in] - 1
    show(
        f"Resident memory of the consumer, MiB: photos of {_SMALLEST:g} to {largest:g} megapixels",
        ["jobs", *map(str, held)],
        [["MiB", *(f"{size / _MEBIBYTE:.0f}" for size in held.values())]],
        note=f"growth from {settled_in} to {max(held)} jobs: {growth:+.1%}, aim: {AIM:.0%} at most;"
        f" at the end {peak / _MEBIBYTE:.0f}",
    )
    return growth


async def _held(stack: LocalStack, line: Line, consumer: Child, images: Sequence[str]) -> float:
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
