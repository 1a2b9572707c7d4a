"""`python -m tests.laboratory`: the fault laboratory from a terminal.

Prints seed, schedule, progress, the verdict of each check and the time taken; exits 1 where a check
fails or the line stands still. The consumers reach Kafka, S3 and the callback through toxiproxy.
"""

import asyncio
import logging
import secrets
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from producer_tools.local.errors import LocalStackError
from producer_tools.local.stack import LocalStack
from tests.laboratory import replays, results, rights, sessions, upgrade
from tests.laboratory.cluster import ClusterStack
from tests.laboratory.planted import PLANTED
from tests.laboratory.proxied import ProxiedStack
from tests.laboratory.results import RecordedRun
from tests.laboratory.run import RunReport, run, try_planted
from tests.laboratory.schedule import SCHEDULES, Fault, draw, endless

Asked = dict[str, Any]
"""A run's options, by name: in a file of recorded runs they identify a run."""

_OWN = (replays.SCHEDULE, rights.SCHEDULE, sessions.SCHEDULE, upgrade.SCHEDULE)
"""Schedules that are programs of their own."""


def main(
    seed: Annotated[int | None, typer.Option(help="Of workload and schedule; none: drawn.")] = None,
    runs: Annotated[int, typer.Option(help="How many, with this seed and those after it.")] = 1,
    records: Annotated[int, typer.Option(help="Records to submit.")] = 2000,
    faults: Annotated[int, typer.Option(help="Faults to strike.")] = 10,
    minutes: Annotated[
        float | None, typer.Option(help="Strike for so long, submitting all the while.")
    ] = None,
    schedule: Annotated[
        str,
        typer.Option(help=f"One of {', '.join((*SCHEDULES, replays.SCHEDULE, rights.SCHEDULE))}."),
    ] = "mixed",
    poisoned: Annotated[int | None, typer.Option(help="Bad records; none: 4 in 100.")] = None,
    outage: Annotated[float, typer.Option(help="Seconds that S3 or the callback is away.")] = 5.0,
    planted: Annotated[
        bool,
        typer.Option("--planted", help="Plant faults in the consumer: are they caught?"),
    ] = False,
    before: Annotated[
        str, typer.Option(help="Of `upgrade`: the commit of the version before.")
    ] = "HEAD~1",
    folder: Annotated[Path | None, typer.Option(help="Keep logs and data here.")] = None,
    results_file: Annotated[
        Path | None,
        typer.Option("--results", help="Add what comes of each run; leave out those in it."),
    ] = None,
) -> None:
    """Strike the line with faults, and let the oracle judge what is left."""
    # The laboratory's own clients see the broker die, too.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    first = secrets.randbelow(10**6) if seed is None else seed
    if schedule == replays.SCHEDULE:
        each_holds = [
            _replays(each, records, folder and folder / str(each))
            for each in range(first, first + runs)
        ]
        sys.exit(0 if all(each_holds) else 1)
    if schedule == rights.SCHEDULE:
        sys.exit(0 if _rights(folder) else 1)
    if schedule == sessions.SCHEDULE:
        sys.exit(0 if _sessions(60 * (minutes or 10), folder) else 1)
    if schedule == upgrade.SCHEDULE:
        sys.exit(0 if _upgrade(first, records, before, folder) else 1)
    if planted:
        plans: list[Asked] = [{"seed": first, "planted": name} for name in PLANTED]
    else:
        plans = [
            {
                "seed": each,
                "schedule": schedule,
                "records": records,
                "poisoned": records // 25 if poisoned is None else poisoned,
                "outage": outage,
                **({"faults": faults} if minutes is None else {"minutes": minutes}),
            }
            for each in range(first, first + runs)
        ]
    known = results.read([results_file]) if results_file else []
    good = []
    for number, asked in enumerate(plans):
        done = next((one for one in known if one.asked == asked), None)
        if done is None:
            print(f"{number + 1} of {len(plans)}:", _words(asked), flush=True)
            report = _run(asked, folder and folder / str(number))
            print(report, flush=True)
            done = results.recorded(report, asked)
            if results_file:
                results.append(results_file, done)
        good.append(_as_it_must(done))
    sys.exit(0 if all(good) else 1)


def _replays(seed: int, records: int, folder: Path | None) -> bool:
    """Do history again in each way, on a stack of its own, and print the verdicts."""
    with tempfile.TemporaryDirectory(prefix="maskline-replays-") as temporary:
        place = folder or Path(temporary)
        place.mkdir(parents=True, exist_ok=True)
        with LocalStack(folder=place / "stack") as stack:
            verdicts = asyncio.run(replays.run(stack, folder=place, seed=seed, records=records))
    print(f"seed {seed}:", *verdicts, sep="\n", flush=True)
    return all(verdict.holds for verdict in verdicts)


def _rights(folder: Path | None) -> bool:
    """Take each right from each role, and print the verdicts."""
    with tempfile.TemporaryDirectory(prefix="maskline-rights-") as temporary:
        place = folder or Path(temporary)
        place.mkdir(parents=True, exist_ok=True)
        with LocalStack(folder=place / "stack") as stack:
            verdicts = asyncio.run(rights.run(stack, folder=place))
    fails = sum(not verdict.holds for verdict in verdicts)
    print(f"{len(verdicts) - fails} of {len(verdicts)} hold")
    return not fails


def _sessions(seconds: float, folder: Path | None) -> bool:
    """Serve while sessions end and secrets are replaced, and print what came of it."""
    with tempfile.TemporaryDirectory(prefix="maskline-sessions-") as temporary:
        place = folder or Path(temporary)
        place.mkdir(parents=True, exist_ok=True)
        with LocalStack(folder=place / "stack") as stack:
            served = asyncio.run(
                sessions.run(stack, folder=place, session_seconds=60, seconds=seconds, every=0.5)
            )
    print(*served, sep="\n", flush=True)
    return not any(one.wrong or one.lanes_lost for one in served)


def _upgrade(seed: int, records: int, before: str, folder: Path | None) -> bool:
    """Upgrade from the version before, and back, and print the verdicts."""
    with tempfile.TemporaryDirectory(prefix="maskline-upgrade-") as temporary:
        place = folder or Path(temporary)
        place.mkdir(parents=True, exist_ok=True)
        with LocalStack(folder=place / "stack") as stack:
            verdicts = asyncio.run(
                upgrade.run(stack, folder=place, seed=seed, records=records, before=before)
            )
    print(f"from {before} and back:", *verdicts, sep="\n", flush=True)
    return all(verdict.holds for verdict in verdicts)


def _as_it_must(done: RecordedRun) -> bool:
    """Print in a line what a run came to; a planted fault must be caught by the check for it."""
    if "planted" in done.asked:
        name = done.asked["planted"]
        caught = PLANTED[name].caught_by in done.against
        print(
            f"{'caught' if caught else 'NOT CAUGHT'}: {name}, by {', '.join(done.against) or '-'}"
        )
        return caught
    print(f"{'holds' if done.holds else 'FAILS'}: {_words(done.asked)}", flush=True)
    return done.holds


def _words(asked: Asked) -> str:
    return " ".join(f"--{name} {value}" for name, value in asked.items())


def _run(asked: Asked, folder: Path | None) -> RunReport:
    """Run what is asked for on a stack of its own."""
    with tempfile.TemporaryDirectory(prefix="maskline-faults-") as temporary:
        place = folder or Path(temporary)
        place.mkdir(parents=True, exist_ok=True)
        if any(place.glob("consumer-*.log")):
            raise typer.BadParameter(f"{place} has logs of another run, which would be judged, too")
        make = ClusterStack if asked.get("schedule") == "cluster" else ProxiedStack
        with make(folder=place / "stack") as stack:
            seed = asked["seed"]
            if "planted" in asked:
                planted = PLANTED[asked["planted"]]
                return asyncio.run(try_planted(stack, planted, folder=place, seed=seed))
            return asyncio.run(
                run(
                    stack,
                    folder=place,
                    seed=seed,
                    records=asked["records"],
                    poisoned=asked["poisoned"],
                    faults=_faults(asked),
                )
            )


def _faults(asked: Asked) -> Iterable[Fault]:
    drawn = {"schedule": asked["schedule"], "outage": asked["outage"]}
    if "minutes" in asked:
        end = time.monotonic() + 60 * asked["minutes"]
        return endless(asked["seed"], **drawn, over=lambda: time.monotonic() > end)
    plan = draw(asked["seed"], **drawn, records=asked["records"], faults=asked["faults"])
    print("; ".join(map(str, plan)), flush=True)
    return plan


if __name__ == "__main__":
    app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
    app.command()(main)
    try:
        app()
    except LocalStackError as error:
        sys.exit(str(error))
