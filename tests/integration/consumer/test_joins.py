"""A replica that joins, or leaves, doesn't touch the owner's work."""

import asyncio
from functools import partial

import pytest

from consumer.line.membership import Membership
from consumer.settings import KafkaSettings, load
from tests.support.bench import Bench
from tests.support.consumer_process import ConsumerProcess, until
from tests.support.logs import logged_at

pytestmark = pytest.mark.integration

JOBS = 12
CALLBACK_MS = (500, 1000, 2000, 4000)
"""Of as many jobs at once: while the last of them is under way, the others' places are free."""
AT_ONCE = len(CALLBACK_MS)
JOINS = 5
LATER_SECONDS = 2.0
"""No job starts later than this against the same run without joins."""


async def test_joins_and_leaves_delay_no_start_and_have_nothing_done_twice(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each job's callback takes seconds, so that a drain would be seen."""
    for name, value in bench.environment.items():
        monkeypatch.setenv(name, value)
    bench.stack.mask_assets.behave(
        *({"jobs": f".*-{n}", "delay_ms": (ms, ms)} for n, ms in enumerate(CALLBACK_MS))
    )
    owner = bench.start(MAX_IN_FLIGHT=AT_ONCE, LOG_LEVEL="DEBUG")
    await owner.until_assigned()
    undisturbed = await starts(bench, owner)
    joining = asyncio.create_task(join_and_leave(owner, JOINS))
    disturbed = await starts(bench, owner)
    joining.cancel()
    await asyncio.wait([joining])

    later = [with_joins - alone for with_joins, alone in zip(disturbed, undisturbed, strict=True)]
    assert max(later) < LATER_SECONDS
    offsets = [entry["offset"] for entry in owner.entries("fetch.started")]
    assert offsets == sorted(set(offsets))
    assert len(owner.entries("partition.kept")) >= JOINS
    assert len(owner.entries("lane.opened")) == 1


async def join_and_leave(owner: ConsumerProcess, times: int) -> None:
    """Be a standby so many times, each time in order, and each time when more jobs have begun."""
    settings = load(KafkaSettings)
    for _ in range(times):
        seen = len(owner.entries("fetch.started"))
        await owner.until_logged("fetch.started", times=seen + 1)
        async with Membership(settings) as standby:
            running = asyncio.create_task(standby.run())
            await until(partial(has_joined, standby), "a standby joins")
            assert standby.tenure is None
            running.cancel()
            await asyncio.wait([running])


def has_joined(standby: Membership) -> bool:
    """Whether the group has told it what it owns."""
    return standby.joined


async def starts(bench: Bench, owner: ConsumerProcess) -> list[float]:
    """Have jobs done; give when each began, in seconds after the first."""
    before = len(owner.entries("fetch.started"))
    photo = bench.put_photo()
    for number in range(before, before + JOBS):
        await bench.submit(f"job-{number}-{number % AT_ONCE}", photo)
    await bench.terminal_events(before + JOBS)
    times = [logged_at(entry) for entry in owner.entries("fetch.started")[before:]]
    return [time - times[0] for time in times]
