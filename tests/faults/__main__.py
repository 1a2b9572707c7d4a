"""`python -m tests.faults`: the fault laboratory from a terminal.

Prints seed, schedule, progress, the verdict of each check and the time taken; exits 1 where a check
fails or the line stands still.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from tests.faults import results
from tests.faults.proxied import ProxiedStack
from tests.faults.run import Report, run
from tests.faults.schedule import SCHEDULES, draw, endless


def main(
    seed: Annotated[int | None, typer.Option(help="Of workload and schedule; none: drawn.")] = None,
    runs: Annotated[int, typer.Option(help="How many, with this seed and those after it.")] = 1,
    records: Annotated[int, typer.Option(help="Records to submit.")] = 2000,
    faults: Annotated[int, typer.Option(help="Faults to strike.")] = 10,
    minutes: Annotated[
        float | None, typer.Option(help="Strike for so long, submitting all the while.")
    ] = None,
    schedule: Annotated[str, typer.Option(help=f"One of {', '.join(SCHEDULES)}.")] = "mixed",
    poisoned: Annotated[int | None, typer.Option(help="Bad records; none: 4 in 100.")] = None,
    outage: Annotated[float, typer.Option(help="Seconds that S3 or the callback is away.")] = 5.0,
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
    held = []
    for each in range(first, first + runs):
        asked = {
            "seed": each,
            "schedule": schedule,
            "records": records,
            "poisoned": records // 25 if poisoned is None else poisoned,
            "outage": outage,
            **({"faults": faults} if minutes is None else {"minutes": minutes}),
        }
        done = [
            one
            for one in results.read([results_file] if results_file else [])
            if one.asked == asked
        ]
        if done:
            print(f"seed {each}: in {results_file} already")
            held.append(done[-1].holds)
            continue
        report = _run(asked, folder and folder / str(each))
        print(report)
        held.append(report.holds)
        if results_file:
            results.append(results_file, results.result(report, asked))
        if not report.holds:
            print("again:  " + " ".join(f"--{name} {value}" for name, value in asked.items()))
    sys.exit(0 if all(held) else 1)


def _run(asked: dict[str, Any], folder: Path | None) -> Report:
    """Run what is asked for on a stack of its own."""
    drawn = {"schedule": asked["schedule"], "outage": asked["outage"]}
    with tempfile.TemporaryDirectory(prefix="maskline-faults-") as temporary:
        place = folder or Path(temporary)
        place.mkdir(parents=True, exist_ok=True)
        with ProxiedStack(folder=place / "stack") as stack:
            if "minutes" in asked:
                end = time.monotonic() + 60 * asked["minutes"]
                faults = endless(asked["seed"], **drawn, over=lambda: time.monotonic() > end)
            else:
                plan = draw(
                    asked["seed"], **drawn, records=asked["records"], faults=asked["faults"]
                )
                print("; ".join(map(str, plan)))
                faults = iter(plan)
            return asyncio.run(
                run(
                    stack,
                    folder=place,
                    seed=asked["seed"],
                    records=asked["records"],
                    poisoned=asked["poisoned"],
                    faults=faults,
                )
            )


if __name__ == "__main__":
    app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
    app.command()(main)
    app()
