"""A drill for each alert: the fault that fires it on a running line, and what puts it right."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.drills.drilled_line import DrilledLine
from tests.support.certificates import Authority

HOUR_MS = 3_600_000.0
Deed = Callable[[DrilledLine], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """One alert, what fires it, and what ends that."""

    alert: str
    fault: str
    """In words."""
    strike: Deed
    mend: Deed
    consumers: int = 1
    gateway: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def line(self) -> str:
        """The name of the line that it is for."""
        return self.alert.removeprefix("Maskline").lower()


async def behave(line: DrilledLine) -> None:
    """Let the mask-asset service do as it should."""
    line.misbehave()


async def begin_a_post_without_answer(line: DrilledLine) -> None:
    """Submit a job whose callback hangs: its time-out is longer than anybody would set."""
    line.misbehave(delay_ms=(HOUR_MS, HOUR_MS))
    await line.submit()


async def cancel_it(line: DrilledLine) -> None:
    """Cancel it: an operator's way out."""
    line.misbehave()
    await line.maskline("cancel", f"{line.name}-1")


async def submit_unknown_models(line: DrilledLine) -> None:
    """Submit what halts a line with `DEAD_LETTER_LIMIT=3`."""
    await line.submit(3, model="nonesuch")


async def resume(line: DrilledLine) -> None:
    """Lift the halt."""
    await line.maskline("resume")


async def refuse_us(line: DrilledLine) -> None:
    """401: our secret is wrong."""
    line.misbehave(mode="status", status=401)
    await line.submit(3)


async def fail(line: DrilledLine) -> None:
    """503: the receiver is down."""
    line.misbehave(mode="status", status=503)
    await line.submit(20)


async def kill_all(line: DrilledLine) -> None:
    """Nobody is left."""
    for port in [*await line.ports(assigned=True), *await line.ports(assigned=False)]:
        line.kill(port)


async def start_two(line: DrilledLine) -> None:
    """Two new ones."""
    await line.start()
    await line.start()


async def kill_the_standby(line: DrilledLine) -> None:
    """The owner goes on."""
    for port in await line.ports(assigned=False):
        line.kill(port)


async def start_one(line: DrilledLine) -> None:
    """One new one."""
    await line.start()


async def submit_what_is_no_photo(line: DrilledLine) -> None:
    """Photos that aren't there."""
    await line.submit(20)
    await line.submit(20, image="s3://mask-uploads/nonesuch.png")


async def submit_for_hours(line: DrilledLine) -> None:
    """2,000 jobs, of which one is done in five seconds."""
    line.misbehave(delay_ms=(5000.0, 5000.0))
    await line.submit(2000)


async def kill_three_times(line: DrilledLine) -> None:
    """The same process, each time as soon as it has been seen."""
    (port,) = await line.ports(assigned=True)
    for _ in range(3):
        await asyncio.sleep(20)
        line.kill(port)
        await line.start(port)


async def fill_the_views_disk(line: DrilledLine) -> None:
    """No file of the gateway may grow; then there is something to fold."""
    line.let_gateway_write(0)
    await line.submit(3)


async def give_room(line: DrilledLine) -> None:
    """As much as there is."""
    line.let_gateway_write(None)


async def nothing(_: DrilledLine) -> None:
    """Time mends it."""


def drills(folder: Path) -> list[Drill]:
    """Give one for each alert; certificates are made in `folder`."""
    old, new, used = (folder / name for name in ("old", "new", "used.crt"))
    for place, days in ((old, 7), (new, 90)):
        place.mkdir()
        Authority(place, hours=24 * days)
    shutil.copy(new / "ca.crt", used)

    async def certify(line: DrilledLine, *, by: Path) -> None:
        del line
        shutil.copy(by / "ca.crt", used)

    return [
        Drill(
            alert="MasklineStalled",
            fault="a post that is never answered, with `CALLBACK_TIMEOUT_SECONDS=7200`",
            strike=begin_a_post_without_answer,
            mend=cancel_it,
            settings={"CALLBACK_TIMEOUT_SECONDS": "7200"},
        ),
        Drill(
            alert="MasklineHalted",
            fault="three jobs in a row of a model that isn't there, with `DEAD_LETTER_LIMIT=3`",
            strike=submit_unknown_models,
            mend=resume,
            settings={"DEAD_LETTER_LIMIT": "3"},
        ),
        Drill(
            alert="MasklineHolding",
            fault="the receiver answers 401",
            strike=refuse_us,
            mend=behave,
        ),
        Drill(
            alert="MasklineNoOwner",
            fault="SIGKILL to both consumers",
            strike=kill_all,
            mend=start_two,
            consumers=2,
        ),
        Drill(
            alert="MasklineNoStandby",
            fault="SIGKILL to the standby",
            strike=kill_the_standby,
            mend=start_one,
            consumers=2,
        ),
        Drill(
            alert="MasklineDeadLetters",
            fault="20 jobs of 40 name a photo that isn't there",
            strike=submit_what_is_no_photo,
            mend=nothing,
        ),
        Drill(
            alert="MasklineLag",
            fault="2,000 jobs at once, and a receiver that takes 5 s for each",
            strike=submit_for_hours,
            mend=behave,
            settings={"MAX_IN_FLIGHT": "1"},
        ),
        Drill(
            alert="MasklineCallbackFailing",
            fault="the receiver answers 503",
            strike=fail,
            mend=behave,
        ),
        Drill(
            alert="MasklineCertificateExpires",
            fault="`CALLBACK_CA_FILE` replaced by one that expires in 7 days",
            strike=lambda line: certify(line, by=old),
            mend=lambda line: certify(line, by=new),
            settings={"CALLBACK_CA_FILE": str(used)},
        ),
        Drill(
            alert="MasklineRestarts",
            fault="SIGKILL to a consumer three times within two minutes",
            strike=kill_three_times,
            mend=nothing,
        ),
        Drill(
            alert="MasklineViewBehind",
            fault="no room for the gateway's `VIEW_FILE`: its `RLIMIT_FSIZE` is 0",
            strike=fill_the_views_disk,
            mend=give_room,
            gateway=True,
        ),
    ]
