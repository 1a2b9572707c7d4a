"""A replica that joins, or leaves, doesn't touch the owner's work."""

import asyncio
import json
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from consumer.line.membership import Membership
from consumer.settings import KafkaSettings, load
from tests.integration.consumer.conftest import Bench, Consumer

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
    owner = bench.start(MAX_IN_FLIGHT=AT_ONCE, LOG_LEVEL="DEBUG", LOG_FORMAT="json")
    owner.wait_until(lambda: owner.get("/stats").json()["assigned"])
    undisturbed = await starts(bench, owner)
    joining = asyncio.create_task(join_and_leave(owner.log, JOINS))
    disturbed = await starts(bench, owner)
    joining.cancel()
    await asyncio.wait([joining])

    later = [with_joins - alone for with_joins, alone in zip(disturbed, undisturbed, strict=True)]
    assert max(later) < LATER_SECONDS
    assert set(begun(owner.log).values()) == {1}
    kept = [line["generation"] for line in said(owner.log, "partition.kept")]
    assert len(kept) >= JOINS
    assert len(said(owner.log, "lane.opened")) == 1


async def join_and_leave(log: Path, times: int) -> None:
    """Be a standby so many times, each time in order, and each time when more jobs have begun."""
    settings = load(KafkaSettings)
    for _ in range(times):
        seen = len(begun(log))
        while len(begun(log)) == seen:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        async with Membership(settings) as standby:
            running = asyncio.create_task(standby.run())
            while not standby.joined:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            assert standby.tenure is None
            running.cancel()
            await asyncio.wait([running])


async def starts(bench: Bench, owner: Consumer) -> list[float]:
    """Have jobs done; give when each began, in seconds after the first."""
    before = len(said(owner.log, "fetch.started"))
    photo = bench.put_photo()
    for number in range(before, before + JOBS):
        await bench.submit(f"job-{number}-{number % AT_ONCE}", photo)
    await bench.terminal_events(before + JOBS)
    times = [
        datetime.fromisoformat(line["timestamp"]).timestamp()
        for line in said(owner.log, "fetch.started")[before:]
    ]
    return [time - times[0] for time in times]


def begun(log: Path) -> Counter[int]:
    """How often each record was begun."""
    return Counter(line["offset"] for line in said(log, "fetch.started"))


def said(log: Path, event: str) -> list[dict[str, Any]]:
    """The lines of a consumer's log about one event."""
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return [line for line in lines if line.get("event") == event]
