"""One run: a workload, a schedule of faults, and the oracle's verdicts."""

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from producer_tools.local.stack import LocalStack
from tests.laboratory import workload
from tests.laboratory.costs import Cost, Struck, costs
from tests.laboratory.evidence import Evidence
from tests.laboratory.faults import strike
from tests.laboratory.laboratory import SETTLE_SECONDS, Laboratory, Progress
from tests.laboratory.oracle import Verdict, judge
from tests.laboratory.planted import Planted
from tests.laboratory.schedule import Fault
from tests.support.consumer_process import Stalled

ABORTED_EVERY = 400
AHEAD = 200
"""Records that wait at each fault, so that none meets an idle line, nor a day's work."""
PLANTED_RECORDS = 120
# A lost event is waited for in vain.
PLANTED_QUIET_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class RunReport:
    """What a run came to."""

    evidence: Sequence[Evidence]
    """Of each jobs topic that the run had, one after the other."""
    verdicts: Sequence[Verdict]
    costs: Sequence[Cost]
    """What each fault cost, in the order that they struck."""
    seconds: float

    @property
    def holds(self) -> bool:
        """Whether every check does."""
        return not self.against

    @property
    def against(self) -> dict[str, list[str]]:
        """What contradicts each check that fails."""
        return {one.check: list(one.against) for one in self.verdicts if not one.holds}

    @property
    def figures(self) -> dict[str, float]:
        """The run in numbers."""
        uploads = [upload for one in self.evidence for upload in one.uploads]
        taken = [
            key
            for one in self.evidence
            for key in {upload.key for upload in one.uploads if upload.status < 300}
        ]
        terminal = sum(len(one.terminal) for one in self.evidence)
        return {
            "records": sum(len(one.jobs) for one in self.evidence),
            "terminal": terminal,
            "dead_letters": sum(len(one.dead_letters) for one in self.evidence),
            "aborted_terminal": -terminal
            + sum(event.terminal for one in self.evidence for event in one.uncommitted),
            "ownerships": sum(len(one.ownerships) for one in self.evidence),
            "uploads": len(uploads),
            "repeated_uploads": sum(upload.status < 300 for upload in uploads) - len(taken),
            "seconds": round(self.seconds, 1),
        }

    def __str__(self) -> str:
        """Faults, verdicts and figures, a line each."""
        ends = Counter(
            f"{event.state} {event.code or ''}" for one in self.evidence for event in one.terminal
        )
        lines = [f"  struck  {cost}" for cost in self.costs]
        lines += [str(verdict) for verdict in self.verdicts]
        lines += [f"{count:7}  {end}" for end, count in sorted(ends.items())]
        lines.append("figures  " + ", ".join(f"{name} {n:g}" for name, n in self.figures.items()))
        return "\n".join(lines)


async def run(
    stack: LocalStack,
    *,
    folder: Path,
    seed: int,
    records: int,
    poisoned: int,
    faults: Iterable[Fault],
    planted: str | None = None,
    quiet_seconds: float = SETTLE_SECONDS,
    progress: Progress = print,
) -> RunReport:
    """Submit the workload, strike each fault at its moment, and let the oracle judge.

    Where the faults outlast the records, more are submitted. The line is given up when nothing is
    settled for `quiet_seconds`.
    """
    progress(f"seed {seed}: {records} records, {poisoned} poisoned")
    planned = workload.plan(seed, records=records, poisoned=poisoned)
    async with Laboratory(
        stack, folder=folder, seed=seed, planted=planted, progress=progress
    ) as laboratory:
        laboratory.intend(workload.aborted(planned, ABORTED_EVERY))
        await laboratory.add(AHEAD)
        begin = time.monotonic()
        laboratory.start()
        struck: list[Struck] = []
        ended = Verdict("the line goes on to the end", ())
        try:
            for fault in faults:
                await laboratory.has(fault.at + AHEAD)
                await laboratory.reaches(fault.at)
                at = time.time()
                settled = laboratory.watch.settled
                await strike(laboratory, fault)
                await laboratory.keep_uploads()
                struck.append(Struck(fault, at, laboratory.mended_at, time.time()))
                progress(
                    f"  {time.monotonic() - begin:6.1f} s  {fault} (settled {settled}):"
                    f" over after {struck[-1].over - at:.1f} s"
                )
            await laboratory.add_planned()
            await laboratory.reaches(laboratory.records, quiet_seconds=quiet_seconds)
            seconds = time.monotonic() - begin
            await laboratory.end_all()
        except Stalled as stalled:  # the oracle finds what is missing
            seconds = time.monotonic() - begin
            ended = Verdict(ended.check, (str(stalled),))
            laboratory.kill_all()
        parts = await laboratory.parts()
    evidence = [part.evidence for part in parts]
    return RunReport(evidence, [ended, *judge_all(evidence)], costs(struck, parts), seconds)


def judge_all(evidence: Sequence[Evidence]) -> list[Verdict]:
    """Hold each check against all topics' evidence, which it names where there are several."""
    of = [""] if len(evidence) == 1 else [f"topic {n}: " for n in range(1, len(evidence) + 1)]
    return [
        Verdict(
            same[0].check,
            tuple(
                topic + what for topic, one in zip(of, same, strict=True) for what in one.against
            ),
        )
        for same in zip(*map(judge, evidence), strict=True)
    ]


async def try_planted(
    stack: LocalStack, planted: Planted, *, folder: Path, seed: int, progress: Progress = print
) -> RunReport:
    """Run consumers with a fault planted in them, on work that gives it an occasion to show."""
    deaths = len(planted.strikes)
    return await run(
        stack,
        folder=folder,
        seed=seed,
        records=PLANTED_RECORDS,
        poisoned=PLANTED_RECORDS // 6,
        faults=[
            Fault(PLANTED_RECORDS * n // (deaths + 1), kind, 5, 0)
            for n, kind in enumerate(planted.strikes, 1)
        ],
        planted=planted.name,
        quiet_seconds=PLANTED_QUIET_SECONDS,
        progress=progress,
    )
