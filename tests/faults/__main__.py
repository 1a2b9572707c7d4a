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
from pathlib import Path
from typing import Annotated

import typer

from producer_tools.local.stack import LocalStack
from tests.faults.owner import Stalled
from tests.faults.run import run
from tests.faults.schedule import SCHEDULES, draw


def main(
    seed: Annotated[int | None, typer.Option(help="Of workload and schedule; none: drawn.")] = None,
    records: Annotated[int, typer.Option(help="Records to submit.")] = 2000,
    faults: Annotated[int, typer.Option(help="Faults to strike.")] = 10,
    schedule: Annotated[str, typer.Option(help=f"One of {', '.join(SCHEDULES)}.")] = "mixed",
    poisoned: Annotated[int | None, typer.Option(help="Bad records; none: 4 in 100.")] = None,
    outage: Annotated[float, typer.Option(help="Seconds that S3 or the callback is away.")] = 5.0,
    folder: Annotated[Path | None, typer.Option(help="Keep logs and data here.")] = None,
) -> None:
    """Strike the line with faults, and let the oracle judge what is left."""
    # The laboratory's own clients see the broker die, too.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    seed = secrets.randbelow(10**6) if seed is None else seed
    plan = draw(seed, schedule=schedule, records=records, faults=faults, outage=outage)
    with tempfile.TemporaryDirectory(prefix="maskline-faults-") as temporary:
        place = folder or Path(temporary)
        place.mkdir(parents=True, exist_ok=True)
        with LocalStack(masks_in_memory=True, folder=place / "stack") as stack:
            running = run(
                stack,
                folder=place,
                seed=seed,
                records=records,
                poisoned=records // 25 if poisoned is None else poisoned,
                faults=plan,
            )
            try:
                report = asyncio.run(running)
            except Stalled as stalled:
                print(f"  FAILS  {stalled}")
                print(
                    f"again:  --seed {seed} --records {records} --faults {faults}"
                    f" --schedule {schedule}"
                )
                sys.exit(1)
    print(report)
    sys.exit(0 if report.holds else 1)


if __name__ == "__main__":
    app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
    app.command()(main)
    app()
