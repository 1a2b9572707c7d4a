"""Hand-overs to a warm standby, timed by the consumers' own logs."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.laboratory.costs import read_starts
from tests.laboratory.evidence import Evidence
from tests.laboratory.laboratory import Laboratory
from tests.support.consumer_process import POLL_SECONDS, ConsumerProcess, until
from tests.support.logs import logged_at

START = "fetch.started"
NEXT_SECONDS = 60.0
LEAVE_SECONDS = 1.0
"""From the owner's leaving of the group to the other's first start, at most."""
DEATH_SECONDS = 8.0
"""The same from its death, at most: the session's time-out, and two."""
LATENCY_MS = (0, 300)
"""Of uploads: so that the lane is full and the machine isn't."""


@dataclass(frozen=True, slots=True)
class HandOver:
    """One owner's end and the next one's beginning, in seconds.

    Clocks of processes on one machine are one clock, so a line of one log may be set against a
    line of another.
    """

    to_assigned: float
    """From the former owner's leaving of the group, or its death, to the group's answer."""
    to_opened: float
    """To the open lane."""
    to_start: float
    """To the next owner's first start."""
    gap: float
    """Between the two owners' starts: this has the former owner's last jobs in it."""
    in_flight: frozenset[int]
    """Offsets of records that the former owner had begun and not settled."""


@dataclass(frozen=True, slots=True)
class RollingRestart:
    """All consumers replaced in turn."""

    hand_overs: tuple[HandOver, ...]
    """As often as the one that was replaced was the owner."""
    longest_gap: float
    """Between any two starts that follow on each other, in seconds."""
    begun_again: int
    """Records that two owners have begun."""


@asynccontextmanager
async def under_load(laboratory: Laboratory) -> AsyncIterator[None]:
    """Keep the line in work for as long as the block lasts."""
    over = asyncio.Event()

    async def feed() -> None:
        while not over.is_set():
            await laboratory.refill()
            await asyncio.sleep(POLL_SECONDS)

    laboratory.stack.mask_assets.misbehave(delay_ms=LATENCY_MS, seed=0)
    feeding = asyncio.create_task(feed(), name="feed")
    try:
        yield
    finally:
        over.set()
        await feeding


async def start_warm(laboratory: Laboratory, count: int) -> list[ConsumerProcess]:
    """Start so many consumers, and wait until they are ready and one of them is at work."""
    owners = [laboratory.start() for _ in range(count)]
    for owner in owners:
        await owner.until_ready()
    await laboratory.owner()
    await laboratory.moves_on()
    return owners


async def leave(laboratory: Laboratory) -> HandOver:
    """End the owner by SIGTERM, and wait for the standby's first start."""
    return await _end_owner(laboratory, await laboratory.owner())


async def die(laboratory: Laboratory) -> HandOver:
    """Kill the owner, and wait for the standby's first start."""
    owner = await laboratory.owner()
    counts = _lanes(laboratory)
    died_at = time.time()
    laboratory.kill(owner)
    return await _taken_over(laboratory, owner, died_at, counts)


async def restart_in_turn(laboratory: Laboratory) -> RollingRestart:
    """SIGTERM each, the owner first, its replacement ready before the next one's turn."""
    began_at = time.time()
    first = await laboratory.owner()
    owners = sorted(laboratory.consumers, key=lambda owner: owner is not first)
    every, hand_overs = list(owners), []
    for owner in owners:
        if await laboratory.owner() is owner:
            hand_overs.append(await _end_owner(laboratory, owner))
        else:
            await laboratory.end(owner)
        every += await start_warm(laboratory, 1)
    starts = sorted(read_starts(owner.log for owner in every))
    # The last start before the first SIGTERM is where the first gap begins.
    last = max(number for number, (start, _) in enumerate(starts) if start < began_at)
    times, offsets = zip(*starts[last:], strict=True)
    return RollingRestart(
        hand_overs=tuple(hand_overs),
        longest_gap=max(b - a for a, b in itertools.pairwise(times)),
        begun_again=len(offsets) - len(set(offsets)),
    )


def repeated(evidence: Evidence) -> list[int]:
    """The offsets of records whose masks were taken more than once."""
    keys = [upload.key for upload in evidence.uploads if upload.status < 300 and upload.key]
    offsets = sorted(int(key.rpartition("/")[2]) for key in keys)
    return sorted({a for a, b in itertools.pairwise(offsets) if a == b})


def handed_over(evidence: Evidence) -> set[int]:
    """The offsets of records that were in flight when their owner left, by its own events."""
    return {
        event.offset
        for event in evidence.committed
        if (event.state, event.code) == ("retrying", "internal_error")
    }


async def _end_owner(laboratory: Laboratory, owner: ConsumerProcess) -> HandOver:
    counts = _lanes(laboratory)
    await laboratory.end(owner)
    left_at = logged_at(owner.entries("group.leaving")[-1])
    return await _taken_over(laboratory, owner, left_at, counts)


def _lanes(laboratory: Laboratory) -> dict[str, int]:
    return {owner.name: len(owner.entries("lane.opened")) for owner in laboratory.consumers}


async def _taken_over(
    laboratory: Laboratory, former: ConsumerProcess, ended_at: float, lanes: dict[str, int]
) -> HandOver:
    """Wait for the first start of the next owner: the one with a lane more than in `lanes`."""
    successors: list[ConsumerProcess] = []

    def another_goes_on() -> bool:
        successors[:] = [
            owner
            for owner in laboratory.consumers
            if len(owner.entries("lane.opened")) > lanes.get(owner.name, 0)
            and logged_at(owner.entries("lane.opened")[-1]) <= _last_start_at(owner)
        ]
        return bool(successors)

    what = f"another goes on where {former.name} left off"
    await until(another_goes_on, what, seconds=NEXT_SECONDS)
    owner = successors[0]
    opened = owner.entries("lane.opened")[lanes.get(owner.name, 0)]
    opened_at = logged_at(opened)
    assigned = map(logged_at, owner.entries("partition.assigned"))
    assigned_at = max(at for at in assigned if at <= opened_at)
    start_at = min(at for at in map(logged_at, owner.entries(START)) if at >= opened_at)
    begun = frozenset(line["offset"] for line in former.entries(START))
    return HandOver(
        to_assigned=assigned_at - ended_at,
        to_opened=opened_at - ended_at,
        to_start=start_at - ended_at,
        gap=start_at - _last_start_at(former),
        in_flight=frozenset(offset for offset in begun if offset >= opened["offset"]),
    )


def _last_start_at(owner: ConsumerProcess) -> float:
    return max(map(logged_at, owner.entries(START)), default=0.0)
