"""How long the line stands still when its owner leaves, dies, or all are restarted in turn.

Three consumers on the laboratory's line, which has work all the time; the seconds come from the
consumers' own logs, whose processes share a clock.
"""

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from producer_tools.local.stack import LocalStack
from tests.benchmarks.tables import show
from tests.laboratory.hand_overs import (
    DEATH_SECONDS,
    LEAVE_SECONDS,
    HandOver,
    die,
    leave,
    repeated,
    restart_in_turn,
    start_warm,
    under_load,
)
from tests.laboratory.laboratory import Laboratory
from tests.laboratory.oracle import judge

CONSUMERS = 3


def measure(stack: LocalStack, *, rounds: int) -> None:
    """Print the tables; raise where the oracle finds a promise broken."""
    with tempfile.TemporaryDirectory(prefix="maskline-") as folder:
        asyncio.run(_hand_overs(stack, Path(folder) / "hand-overs", rounds))
        asyncio.run(_rolling_restarts(stack, Path(folder) / "restarts", rounds))


async def _hand_overs(stack: LocalStack, folder: Path, rounds: int) -> None:
    clean, deaths = [], []
    async with Laboratory(stack, folder=folder, seed=1) as laboratory:
        async with under_load(laboratory):
            await start_warm(laboratory, CONSUMERS)
            for _ in range(rounds):
                clean.append(await leave(laboratory))
                await start_warm(laboratory, 1)
                deaths.append(await die(laboratory))
                await start_warm(laboratory, 1)
        again = await _uploaded_again(laboratory)
    show(
        f"Seconds from the owner's end to another's first start, {rounds} rounds",
        ["", "assigned", "lane open", "first start", "most", "between starts", "in flight"],
        [
            _row(f"left the group; at most {LEAVE_SECONDS:g}", clean),
            _row(f"killed; at most {DEATH_SECONDS:g}", deaths),
        ],
        note="medians, and the most until the first start; between starts: from the former owner's"
        f" last to the next one's first; in flight: records begun and not settled, the most;"
        f" masks uploaded again: {again}",
    )


async def _rolling_restarts(stack: LocalStack, folder: Path, rounds: int) -> None:
    async with Laboratory(stack, folder=folder, seed=2) as laboratory:
        async with under_load(laboratory):
            await start_warm(laboratory, CONSUMERS)
            restarts = [await restart_in_turn(laboratory) for _ in range(rounds)]
        again = await _uploaded_again(laboratory)
    gaps = [restart.longest_gap for restart in restarts]
    show(
        f"Rolling restart of {CONSUMERS} consumers, {rounds} rounds",
        ["", "median", "most"],
        [["longest time between two starts, seconds", f"{median(gaps):.2f}", f"{max(gaps):.2f}"]],
        note=f"records begun again: {sum(restart.begun_again for restart in restarts)};"
        f" masks uploaded again: {again}",
    )


async def _uploaded_again(laboratory: Laboratory) -> int:
    """End the run and have it judged; give how many records' masks were uploaded twice."""
    await laboratory.reaches(laboratory.records)
    await laboratory.end_all()
    evidence = await laboratory.evidence()
    if wrong := [str(verdict) for verdict in judge(evidence) if not verdict.holds]:
        raise AssertionError("\n".join(wrong))
    return len(repeated(evidence))


def _row(name: str, found: Sequence[HandOver]) -> list[str]:
    starts = [one.to_start for one in found]
    return [
        name,
        f"{median(one.to_assigned for one in found):.2f}",
        f"{median(one.to_opened for one in found):.2f}",
        f"{median(starts):.2f}",
        f"{max(starts):.2f}",
        f"{median(one.gap for one in found):.2f}",
        f"{max(len(one.in_flight) for one in found)}",
    ]
