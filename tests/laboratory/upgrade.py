"""`--schedule upgrade`: a rolling upgrade from another version of the code, and back, under load.

Two consumers of the version before. One after another is replaced by one of this version, as a
roll-out does: the new one stands by until it is ready, then an old one is ended. Then the same
back. The oracle judges what the line has left behind.
"""

import asyncio
import io
import subprocess
import tarfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from producer_tools.local.stack import LocalStack
from tests.laboratory.laboratory import Laboratory, Progress
from tests.laboratory.oracle import Verdict, judge
from tests.laboratory.workload import plan

SCHEDULE = "upgrade"
ROOT = Path(__file__).parents[2]
SETTLED_BETWEEN = 100
"""Records between two replacements."""


async def run(
    stack: LocalStack,
    *,
    folder: Path,
    seed: int,
    records: int,
    before: str,
    progress: Progress = print,
) -> Sequence[Verdict]:
    """Upgrade from the commit `before`, and back; give what the oracle says of the line."""
    old = _run_from(await asyncio.to_thread(_unpacked, before, folder / "before"))
    async with Laboratory(stack, folder=folder, seed=seed, progress=progress) as laboratory:
        await laboratory.submit(plan(seed, records=records, poisoned=records // 25))
        for _ in range(2):
            await laboratory.start(**old).until_ready()
        for name, settings in (("new", {}), ("new", {}), ("old", old), ("old", old)):
            await _replace_one(laboratory, name, settings)
        await laboratory.reaches(laboratory.records)
        await laboratory.end_all()
        return judge(await laboratory.evidence())


async def _replace_one(laboratory: Laboratory, name: str, settings: Mapping[str, str]) -> None:
    """Start one, and end the oldest once the new one is ready."""
    await laboratory.add(2 * SETTLED_BETWEEN)
    await laboratory.reaches(laboratory.watch.settled + SETTLED_BETWEEN)
    await laboratory.start(**settings).until_ready()
    oldest = laboratory.consumers[0]
    owner = oldest.owns_lane
    begin = time.monotonic()
    await laboratory.end(oldest)
    await laboratory.moves_on()
    what = "the owner" if owner else "a standby"
    laboratory.progress(
        f"{what} replaced by one of the {name} version: {time.monotonic() - begin:.1f} s"
    )


def _run_from(folder: Path) -> dict[str, str]:
    """Give the variables by which Python takes our modules from a folder, not from here."""
    return {"PYTHONPATH": str(folder), "PYTHONSAFEPATH": "1"}


def _unpacked(commit: str, folder: Path) -> Path:
    """Unpack the code of a commit."""
    folder.mkdir(parents=True)
    git = ["git", "-C", str(ROOT), "archive", commit]
    packed = subprocess.run(git, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    return folder
