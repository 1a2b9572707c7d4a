"""`python -m tests.drills`: each alert fired by its fault, on running lines and a real Prometheus.

Beside them a healthy line with a gateway, whose consumers are killed and replaced in turn: nothing
may fire there. Takes half an hour, or as long as the healthy line is watched. Prints a table; exits
1 where an alert doesn't fire, doesn't clear, or fires on the healthy line.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from producer_tools.local.stack import LocalStack
from tests.drills.drilled_line import DrilledLine, Misbehaviours
from tests.drills.faults import Drill, drills
from tests.drills.prometheus import Prometheus
from tests.support.models import write_trivial_body_model

HEALTHY = "healthy"
BETWEEN_DEEDS_SECONDS = 310.0
GIVE_UP_SECONDS = 2400.0
_QUIET_SECONDS = 45.0

Open = Callable[..., DrilledLine]


@dataclass(frozen=True, slots=True)
class Drilled:
    """What came of a drill: seconds to firing and to clearing; None where it didn't."""

    alert: str
    fault: str
    began: float
    fired: float | None
    cleared: float | None


async def drill(one: Drill, prometheus: Prometheus, open_line: Open) -> Drilled:
    """Strike, wait until the alert fires, mend, wait until it doesn't."""
    line = open_line(one.line, **one.settings)
    began = time.time()
    fired: float | None = None
    try:
        await line.open(consumers=one.consumers, gateway=one.gateway)
        await line.submit()
        await asyncio.sleep(_QUIET_SECONDS)
        if one.alert in await prometheus.firing(line.name):
            raise RuntimeError(f"{one.alert} fires before its fault")
        began = time.time()
        await one.strike(line)
        fired = await seconds_until(prometheus, line, one.alert, fires=True)
        tell(f"{one.alert} fires after {fired} s")
        await one.mend(line)
        cleared = await seconds_until(prometheus, line, one.alert, fires=False)
        tell(f"{one.alert} is cleared after {cleared} s")
        return Drilled(one.alert, one.fault, began, fired, cleared)
    except Exception as error:  # the other drills, and the healthy line, go on
        tell(f"{one.alert}: {error!r}")
        return Drilled(one.alert, one.fault, began, fired, None)
    finally:
        line.close()


async def seconds_until(
    prometheus: Prometheus, line: DrilledLine, alert: str, *, fires: bool
) -> float | None:
    """Wait until the alert fires, or doesn't; give the seconds, None where it takes too long."""
    begin = time.monotonic()
    while (alert in await prometheus.firing(line.name)) is not fires:
        if time.monotonic() - begin > GIVE_UP_SECONDS:
            return None
        await asyncio.sleep(1)
    return round(time.monotonic() - begin)


async def stay_healthy(
    prometheus: Prometheus, open_line: Open, *, seconds: float
) -> tuple[list[str], list[str]]:
    """Kill the owner, replace both, in turn; give the deeds, and the alerts that have fired."""
    line = open_line(HEALTHY)
    deeds: list[str] = []
    try:
        await line.open(consumers=2, gateway=True)
        begin, next_deed = time.monotonic(), time.monotonic() + BETWEEN_DEEDS_SECONDS / 2
        while time.monotonic() - begin < seconds:
            await line.submit()
            await asyncio.sleep(1)
            if time.monotonic() > next_deed:
                next_deed = time.monotonic() + BETWEEN_DEEDS_SECONDS
                deeds.append(await disturb(line, kill=len(deeds) % 2 == 0))
                tell(f"healthy: {deeds[-1]}")
        fired = await prometheus.query(
            f'count_over_time(ALERTS{{job="{HEALTHY}",alertstate="firing"}}[{int(seconds)}s])'
        )
        return deeds, sorted({sample["metric"]["alertname"] for sample in fired})
    finally:
        line.close()


async def disturb(line: DrilledLine, *, kill: bool) -> str:
    """Kill the owner and start it again, or replace one consumer after the other."""
    owners, standbys = await line.ports(assigned=True), await line.ports(assigned=False)
    if kill:
        for port in owners:
            line.kill(port)
            await line.start(port)
        return "the owner was killed, and has started again"
    for port in [*standbys, *owners]:
        await line.replace(port)
    await asyncio.to_thread(line.gateway.restart)
    return "both consumers were replaced, one after the other, and the gateway restarted"


async def run(folder: Path, stack: LocalStack, *, minutes: float, only: list[str]) -> bool:
    """Run the drills beside the healthy line; give whether all is as it must be."""
    (folder / "models").mkdir()
    write_trivial_body_model(folder / "models")
    prometheus = Prometheus(folder)
    misbehaviours = Misbehaviours(stack)

    def open_line(name: str, **settings: str) -> DrilledLine:
        return DrilledLine(
            name,
            stack=stack,
            prometheus=prometheus,
            misbehaviours=misbehaviours,
            folder=folder / "models",
            **settings,
        )

    try:
        chosen = [one for one in drills(folder) if not only or one.alert in only]
        healthy = asyncio.create_task(
            stay_healthy(prometheus, open_line, seconds=60 * minutes), name="healthy"
        )
        drilled = await asyncio.gather(*(drill(one, prometheus, open_line) for one in chosen))
        deeds, fired = await healthy
    finally:
        prometheus.stop()
    (folder / "drills.json").write_text(json.dumps([asdict(one) for one in drilled], indent=1))
    write_table(drilled)
    print(f"\nThe healthy line, {minutes:g} minutes: {len(deeds)} deeds, alerts: {fired or 'none'}")
    return not fired and all(one.fired is not None and one.cleared is not None for one in drilled)


def write_table(drilled: list[Drilled]) -> None:
    """Print what came of the drills."""
    print("| alert | fault | seconds to firing | seconds from mending to clear |")
    print("|---|---|---|---|")
    for one in drilled:
        print(f"| {one.alert} | {one.fault} | {one.fired} | {one.cleared} |")


def tell(words: str) -> None:
    """Say how it goes."""
    print(f"{time.strftime('%H:%M:%S')} {words}", file=sys.stderr, flush=True)


def main(
    minutes: Annotated[float, typer.Option(help="How long the healthy line is watched.")] = 60,
    folder: Annotated[Path | None, typer.Option(help="Where data and logs are kept.")] = None,
    only: Annotated[list[str], typer.Option(help="An alert; none: all.")] = [],  # noqa: B006
) -> None:
    """Fire each alert by its fault; let none fire on a healthy line."""
    kept = folder or Path(tempfile.mkdtemp(prefix="maskline-drills-"))
    kept.mkdir(parents=True, exist_ok=True)
    with LocalStack(masks_in_memory=True) as stack:
        good = asyncio.run(run(kept, stack, minutes=minutes, only=only))
    tell(f"Prometheus's data and the logs are in {kept}")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    typer.run(main)
