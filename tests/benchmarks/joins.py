"""When jobs begin while replicas join and leave, beside the same run without them.

One owner, a trivial model, callbacks of ten seconds. Each replica is a whole consumer: it starts,
is ready, and ends by SIGTERM. In the run that is compared with, as many start and end on a line of
their own: they cost the machine the same, and the owner nothing.
"""

import asyncio
import tempfile
from pathlib import Path

from producer_tools.local.stack import LocalStack
from tests.benchmarks.tables import show
from tests.support.bench import Bench
from tests.support.consumer_process import ConsumerProcess
from tests.support.line_names import LineNames, create_topics
from tests.support.logs import logged_at
from tests.support.models import write_trivial_body_model

JOINS = 20
CALLBACK_MS = (9_000, 9_600, 10_400, 11_000)
"""Of as many jobs at once, so that they don't end together."""
AT_ONCE = len(CALLBACK_MS)
LATER_SECONDS = 2.0


def measure(stack: LocalStack, *, joins: int = JOINS) -> None:
    """Print the table; raise where a replica delayed a start, or had a job begun twice."""
    with tempfile.TemporaryDirectory(prefix="maskline-") as folder:
        write_trivial_body_model(Path(folder))
        alone = asyncio.run(_starts(stack, Path(folder), joins=joins, same_line=False))
        joined = asyncio.run(_starts(stack, Path(folder), joins=joins, same_line=True))
    later = [there - here for here, there in zip(alone, joined, strict=False)]
    show(
        f"{joins} replicas join and leave, callbacks of ten seconds",
        ["", "starts", "latest against the run without joins, s"],
        [["jobs of the owner", f"{len(later)}", f"{max(later):.2f}"]],
        note=f"aim: at most {LATER_SECONDS:g} s; no record was begun twice",
    )
    if max(later) > LATER_SECONDS:
        raise AssertionError(f"a job began {max(later):.2f} s later")


async def _starts(stack: LocalStack, folder: Path, *, joins: int, same_line: bool) -> list[float]:
    """Give when each job began, in seconds after the first, until all replicas have ended."""
    bench, elsewhere = (Bench(stack, LineNames.fresh(), folder) for _ in range(2))
    stack.mask_assets.behave(
        *({"jobs": f".*-{n}", "delay_ms": (ms, ms)} for n, ms in enumerate(CALLBACK_MS))
    )
    try:
        for one in (bench, elsewhere):
            await create_topics(one.environment)
        owner = bench.start(MAX_IN_FLIGHT=AT_ONCE, LOG_LEVEL="DEBUG")
        await owner.until_assigned()
        feeding = asyncio.create_task(_feed(bench, owner))
        await owner.until_logged("fetch.started", times=AT_ONCE)
        for _ in range(joins):
            replica = (bench if same_line else elsewhere).start()
            await replica.until_ready()
            await replica.end()
        feeding.cancel()
        kept = len(owner.entries("partition.kept"))
        # A leave that follows a join at once may share its rebalance.
        assert kept >= joins if same_line else kept == 0, f"{kept} rebalances"
        return _begun(owner)
    finally:
        stack.mask_assets.behave()
        bench.stop()
        elsewhere.stop()


async def _feed(bench: Bench, owner: ConsumerProcess) -> None:
    """Keep work waiting."""
    photo = bench.put_photo()
    number = 0
    while True:
        for _ in range(AT_ONCE):
            await bench.submit(f"job-{number}-{number % AT_ONCE}", photo)
            number += 1
        await owner.until_logged("fetch.started", times=number - AT_ONCE)


def _begun(owner: ConsumerProcess) -> list[float]:
    starts = owner.entries("fetch.started")
    offsets = [entry["offset"] for entry in starts]
    assert offsets == sorted(set(offsets)), f"begun twice or out of order: {offsets}"
    assert len(owner.entries("lane.opened")) == 1
    return [logged_at(entry) - logged_at(starts[0]) for entry in starts]
