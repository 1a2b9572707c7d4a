"""What each fault of a run cost: how long nothing was settled, what was begun again, lost, doubled.

A fault answers for all that happens from its moment to the next fault's.
"""

import bisect
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.laboratory.evidence import Evidence
from tests.laboratory.schedule import Fault
from tests.support.logs import logged_at, read_entries


@dataclass(frozen=True, slots=True)
class Struck:
    """A fault that happened; times are Unix seconds."""

    fault: Fault
    begun: float
    mended: float
    """When its cause was gone: the consumer started anew, the service back."""
    over: float
    """When the line had gone on."""


@dataclass(slots=True)
class Cost:
    """What a fault cost."""

    kind: str
    standstill: float
    """The longest time without a record settled, in seconds, as a subscriber sees it."""
    recovery: float
    """From the end of its cause to the next record settled, in seconds."""
    repeated: int = 0
    """Records that were begun again."""
    lost: list[int] = field(default_factory=list)
    """Offsets of the records without a terminal event."""
    doubled: list[int] = field(default_factory=list)
    """Offsets of the records with more than one."""

    def __str__(self) -> str:
        """What it cost, in one line."""
        return (
            f"{self.kind}: nothing settled for {self.standstill:.1f} s, again"
            f" {self.recovery:.1f} s after its end; {self.repeated} begun again"
        )


@dataclass(frozen=True, slots=True)
class Part:
    """What one jobs topic left behind; a run has several where the topic was made anew."""

    settled: Mapping[int, float]
    """When the terminal event of each offset was seen."""
    begun: Sequence[tuple[float, int]]
    """Each start of a record: when, and its offset."""
    evidence: Evidence


def costs(struck: Sequence[Struck], parts: Sequence[Part]) -> list[Cost]:
    """Charge every loss to the fault before it; the faults are in the order that they happened."""
    if not struck:
        return []
    times = sorted(at for part in parts for at in part.settled.values())
    bill = [Cost(one.fault.kind, _standstill(one, times), _recovery(one, times)) for one in struck]

    def charged(at: float) -> Cost:
        return bill[max(0, bisect.bisect([one.begun for one in struck], at) - 1)]

    for part in parts:
        _charge(part, charged)
    return bill


def _charge(part: Part, charged: Callable[[float], Cost]) -> None:
    known: set[int] = set()
    for at, offset in sorted(part.begun):
        if offset in known:
            charged(at).repeated += 1
        known.add(offset)
    ends = Counter(event.offset for event in part.evidence.terminal)
    for job in part.evidence.jobs:
        if ends[job.offset] != 1:
            # Records are settled in order: what is missing was due before the next that is not.
            last = max(part.settled.values(), default=0.0)
            at = min((at for one, at in part.settled.items() if one >= job.offset), default=last)
            (charged(at).doubled if ends[job.offset] else charged(at).lost).append(job.offset)


def read_starts(logs: Iterable[Path]) -> list[tuple[float, int]]:
    """Read when each record was begun from the consumers' logs."""
    return [
        (logged_at(entry), entry["offset"])
        for log in logs
        for entry in read_entries(log.read_bytes())
        if entry["event"] == "fetch.started"
    ]


def _standstill(one: Struck, times: Sequence[float]) -> float:
    first = max(0, bisect.bisect(times, one.begun) - 1)
    last = bisect.bisect(times, one.over)
    return max(
        (b - a for a, b in zip(times[first:last], times[first + 1 : last], strict=False)),
        default=0.0,
    )


def _recovery(one: Struck, times: Sequence[float]) -> float:
    after = bisect.bisect(times, one.mended)
    return times[after] - one.mended if after < len(times) else 0.0
