"""`--schedule replays`: history done again in three ways, each killed midway, beside live jobs.

A run over all records, a copy of each, and a redrive of what has failed. Each process is killed
twice when it has done a part, and started again. Then each right record must have been done exactly
once in each way, and the oracle judges the line, which served live jobs all the while.
"""

import asyncio
import contextlib
import os
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from producer_tools.local.stack import LocalStack
from tests.laboratory.evidence import Evidence
from tests.laboratory.laboratory import SETTLE_SECONDS, Laboratory, Progress
from tests.laboratory.oracle import Verdict, judge
from tests.laboratory.workload import plan
from tests.support.consumer_process import ConsumerProcess, Stalled, until
from tests.support.topics import (
    TERMINAL_STATES,
    TopicRecord,
    administration,
    committed_offset,
    end_of,
    read_topic,
)

SCHEDULE = "replays"
RUN, COPIES = "again", "copies"
LIVE_RECORDS = 10
LIVE_SECONDS = 1.0
WAIT_SECONDS = 600.0
_KILLED_FROM, _KILLED_TO = 0.1, 0.8


async def run(
    stack: LocalStack, *, folder: Path, seed: int, records: int, progress: Progress = print
) -> list[Verdict]:
    """Do the history of one line again in each way; give what the oracle and we say of it."""
    dice = random.Random(seed)
    async with Laboratory(stack, folder=folder, seed=seed, progress=progress) as laboratory:
        await laboratory.submit(plan(seed, records=records, poisoned=records // 25))
        laboratory.start()
        end = await end_of(laboratory.bootstrap, laboratory.line.jobs)
        await _until_settled(laboratory, end)
        originals = await read_topic(laboratory.bootstrap, laboratory.line.jobs)
        async with _live(laboratory):
            verdicts = [
                await _timed(progress, name, repeat(laboratory, dice, folder, end, originals))
                for name, repeat in (
                    ("a run", _run),
                    ("copies", _copies),
                    ("a redrive", _redrive),
                )
            ]
        await _until_settled(laboratory, await end_of(laboratory.bootstrap, laboratory.line.jobs))
        await laboratory.end_all()
        evidence = await _of_the_line(laboratory)
    return [*verdicts, *judge(evidence)]


async def _timed(progress: Progress, name: str, doing: Awaitable[Verdict]) -> Verdict:
    begin = time.monotonic()
    verdict = await doing
    progress(f"{name}, killed twice: {time.monotonic() - begin:.0f} s. {verdict}")
    return verdict


async def _run(
    laboratory: Laboratory,
    dice: random.Random,
    folder: Path,
    end: int,
    originals: Sequence[TopicRecord],
) -> Verdict:
    """Do all records again as a run."""
    command = ("consume", "--replay-id", RUN, "--from-offset", "0", "--to-offset", str(end))

    async def done() -> int:
        return len(await _run_ends(laboratory))

    code = await _killed_twice(laboratory, dice, folder, command, done, of=len(originals))
    ends = await _run_ends(laboratory)
    offsets = [event["source"]["offset"] for event in ends]
    line = {
        event["source"]["offset"]: event["state"]
        for event in await _events(laboratory)
        if event["replay_id"] is None and event["state"] in TERMINAL_STATES
    }
    return Verdict(
        "a run ends each record once, in order, and as the line did",
        tuple(
            _wrong(
                (offsets != [record.offset for record in originals], f"it ended {offsets}"),
                (
                    any(event["state"] != line[event["source"]["offset"]] for event in ends),
                    "some ended otherwise than on the line",
                ),
                (code != 1, f"its exit code is {code}, and some have failed"),
            )
        ),
    )


async def _copies(
    laboratory: Laboratory,
    dice: random.Random,
    folder: Path,
    end: int,
    originals: Sequence[TopicRecord],
) -> Verdict:
    """Append a copy of each job."""
    command = ["replay", "--from-offset", "0", "--to-offset", str(end), "--replay-id", COPIES]
    command += ["--max-waiting", "16", "--execute"]
    garbage = {
        event["source"]["offset"]
        for event in await _events(laboratory)
        if (event["error"] or {}).get("code") == "invalid_message"
    }
    wanted = [record.offset for record in originals if record.offset not in garbage]

    async def copied() -> list[int]:
        records = await read_topic(laboratory.bootstrap, laboratory.line.jobs)
        keys = [(record.key or b"").decode(errors="replace").partition(":") for record in records]
        return [int(offset) for name, _, offset in keys if name == COPIES]

    async def done() -> int:
        return len(await copied())

    code = await _killed_twice(laboratory, dice, folder, command, done, of=len(wanted))
    found = await copied()
    return Verdict(
        "each job has one copy, in order",
        tuple(
            _wrong(
                (found != wanted, f"{len(wanted)} jobs have the copies {found}"),
                (code != 0, f"its exit code is {code}"),
            )
        ),
    )


async def _redrive(
    laboratory: Laboratory,
    dice: random.Random,
    folder: Path,
    end: int,
    originals: Sequence[TopicRecord],
) -> Verdict:
    """Put all dead letters back that there are now."""
    del end, originals
    bootstrap, line = laboratory.bootstrap, laboratory.line
    letters = await read_topic(bootstrap, line.dead_letters)
    # What is in the dead letters later failed again, or is a live job's.
    command = ["dead-letters", "redrive", "--execute", "--code", "invalid_message"]
    for code in {_code(letter) for letter in letters} - {"invalid_message"}:
        command += ["--code", code]
    command += ["--to-offset", str(letters[-1].offset + 1)]

    async def redriven() -> Counter[bytes | None]:
        records = await read_topic(bootstrap, line.jobs)
        names = [dict(record.headers).get("mask-redrive-of") for record in records]
        return Counter(name for name in names if name)

    async def done() -> int:
        return (await redriven()).total()

    exit_code = await _killed_twice(laboratory, dice, folder, command, done, of=len(letters))
    counts = await redriven()
    may = {f"{line.dead_letters}/0/{letter.offset}".encode() for letter in letters}
    return Verdict(
        "each dead letter is redriven at most once, and all that can be are",
        tuple(
            _wrong(
                (max(counts.values(), default=0) > 1, f"more than once: {counts.most_common(3)}"),
                (not counts.keys() <= may, "letters of later on were redriven"),
                (len(counts) < len(letters) // 2, f"{len(counts)} of {len(letters)} were"),
                (exit_code != 0, f"its exit code is {exit_code}"),
            )
        ),
    )


async def _killed_twice(
    laboratory: Laboratory,
    dice: random.Random,
    folder: Path,
    command: Sequence[str],
    done: Callable[[], Awaitable[int]],
    *,
    of: int,
) -> int:
    """Run the command, kill it at two moments, and let it come to its end; give its exit code."""
    moments = sorted(dice.uniform(_KILLED_FROM, _KILLED_TO) for _ in range(2))
    for number, moment in enumerate(moments):
        with _started(laboratory, folder, command, number) as process:

            async def reached(due: int = int(of * moment), it: ConsumerProcess = process) -> bool:
                laboratory.check_running()
                return await done() >= due or not it.running

            await until(reached, f"{moment:.0%} of {command[0]}", seconds=WAIT_SECONDS)
            laboratory.progress(f"  {command[0]}: killed at {await done()} of {of}")
            process.kill()
    with _started(laboratory, folder, command, 2) as process:
        return await process.exit_code(seconds=WAIT_SECONDS)


@contextlib.contextmanager
def _started(
    laboratory: Laboratory, folder: Path, command: Sequence[str], number: int
) -> Iterator[ConsumerProcess]:
    process = ConsumerProcess(
        f"{command[0]}-{number}",
        *command,
        folder=folder,
        environment={**laboratory.environment(), "VIEW_FILE": str(folder / "view" / "view.db")},
        module=("producer_tools",),
    )
    if command[0] == "consume":
        os.setpriority(os.PRIO_PROCESS, process.pid, 10)
    try:
        yield process
    finally:
        process.kill()


@asynccontextmanager
async def _live(laboratory: Laboratory) -> AsyncIterator[None]:
    """Inside, jobs come in all the while."""

    async def submit() -> None:
        while True:
            await laboratory.add(LIVE_RECORDS)
            await asyncio.sleep(LIVE_SECONDS)

    task = asyncio.create_task(submit())
    try:
        yield
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _until_settled(laboratory: Laboratory, end: int) -> None:
    """Wait until the line has settled all that lies before this offset, gaps included."""
    records = await read_topic(laboratory.bootstrap, laboratory.line.jobs)
    last = max(record.offset for record in records if record.offset < end)
    begin = time.monotonic()
    async with administration(laboratory.bootstrap) as admin:
        while (
            await committed_offset(admin, laboratory.line.group, laboratory.line.jobs) or 0
        ) <= last:
            laboratory.check_running()
            if time.monotonic() - begin > WAIT_SECONDS + SETTLE_SECONDS:
                raise Stalled(f"offset {last} isn't settled")
            await asyncio.sleep(0.2)


async def _events(laboratory: Laboratory) -> list[dict[str, Any]]:
    return [
        record.json() for record in await read_topic(laboratory.bootstrap, laboratory.line.status)
    ]


async def _run_ends(laboratory: Laboratory) -> list[dict[str, Any]]:
    return [
        event
        for event in await _events(laboratory)
        if event["replay_id"] == RUN and event["state"] in TERMINAL_STATES
    ]


async def _of_the_line(laboratory: Laboratory) -> Evidence:
    """Gather what the line left behind, without what is the run's."""
    evidence = await laboratory.evidence()
    records = await read_topic(
        laboratory.bootstrap, laboratory.line.status, isolation="read_uncommitted"
    )
    others = {record.offset for record in records if record.json()["replay_id"] is not None}
    return replace(
        evidence,
        committed=tuple(one for one in evidence.committed if one.position not in others),
        uncommitted=tuple(one for one in evidence.uncommitted if one.position not in others),
        uploads=tuple(one for one in evidence.uploads if not (one.key or "").startswith(f"{RUN}/")),
    )


def _wrong(*found: tuple[bool, str]) -> Iterator[str]:
    return (words for is_wrong, words in found if is_wrong)


def _code(letter: TopicRecord) -> str:
    return (dict(letter.headers).get("mask-error-code") or b"").decode()
