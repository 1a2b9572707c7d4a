"""`python -m tests.laboratory.reliability FILE…` writes docs/reliability.md from recorded runs."""

import re
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tests.laboratory.faults import KINDS
from tests.laboratory.oracle import CHECKS
from tests.laboratory.planted import PLANTED
from tests.laboratory.results import RecordedRun, read

TEMPLATE = Path(__file__).with_name("reliability.template.md")


def main() -> None:
    """Write the page to standard output."""
    sys.stdout.write(page(read(map(Path, sys.argv[1:]))))


def page(results: Sequence[RecordedRun]) -> str:
    """Give the page for these results.

    Raises:
        ValueError: there are none.
    """
    if not results:
        raise ValueError("no results: run `python -m tests.laboratory --results FILE` first")
    runs = [one for one in results if "planted" not in one.asked]
    kinds = sorted({cost["kind"] for one in runs for cost in one.costs})
    brokers = [one for one in runs if one.asked["schedule"] == "cluster"]
    disorder = sum(any("order" in check for check in one.against) for one in runs)
    return TEMPLATE.read_text(encoding="utf-8").format(
        checks=len(CHECKS),
        machine="; ".join(sorted({one.machine for one in results})),
        runs=_runs(runs),
        poisoned=f"{sum(one.asked['poisoned'] for one in runs):,}",
        disorder=f"{disorder} of {len(runs)} runs" if disorder else "none",
        costs=_costs([one for one in runs if one not in brokers]),
        brokers=_costs(brokers),
        kinds="\n".join(f"- `{kind}`: {_promise(KINDS[kind])}" for kind in kinds),
        planted=_planted(results),
    )


def _runs(results: Sequence[RecordedRun]) -> str:
    """Runs of one schedule and size share a line."""
    alike: defaultdict[tuple[Any, ...], list[RecordedRun]] = defaultdict(list)
    for one in results:
        asked = one.asked
        size = f"{asked['minutes']:g} minutes" if "minutes" in asked else f"{asked['records']:,}"
        alike[asked["schedule"], size].append(one)
    return _table(
        "schedule | size | seeds | records | faults | lost | doubled | began again | hours:minutes"
        " | all checks hold",
        (
            (
                schedule,
                size,
                _seeds(one.asked["seed"] for one in runs),
                f"{sum(one.figures['records'] for one in runs):,.0f}",
                sum(len(one.costs) for one in runs),
                *(_count(runs, what) for what in ("lost", "doubled", "repeated")),
                _clock(sum(one.seconds for one in runs)),
                f"{sum(one.holds for one in runs)} of {len(runs)}",
            )
            for (schedule, size), runs in alike.items()
        ),
    )


def _costs(runs: Sequence[RecordedRun]) -> str:
    kinds: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in runs:
        for cost in one.costs:
            kinds[cost["kind"]].append(cost)
    return _table(
        "fault | struck | stands still | recovers | again | lost | doubled",
        (
            (
                f"`{kind}`",
                len(costs),
                _spread([cost["standstill"] for cost in costs], ".1f"),
                _spread([cost["recovery"] for cost in costs], ".1f"),
                _spread([cost["repeated"] for cost in costs], ".0f"),
                sum(len(cost["lost"]) for cost in costs),
                sum(len(cost["doubled"]) for cost in costs),
            )
            for kind, costs in sorted(kinds.items())
        ),
    )


def _planted(results: Iterable[RecordedRun]) -> str:
    return _table(
        "planted | what it does | caught by",
        (
            (f"`{name}`", _promise(PLANTED[name].plant), "; ".join(one.against) or "**nothing**")
            for one in results
            if (name := one.asked.get("planted"))
        ),
    )


def _table(head: str, rows: Iterable[Iterable[object]]) -> str:
    lines = [head, re.sub("[^|]+", " --- ", head).strip()]
    lines += [" | ".join(map(str, row)) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def _count(runs: Iterable[RecordedRun], what: str) -> int:
    counts = [cost[what] for one in runs for cost in one.costs]
    return sum(count if isinstance(count, int) else len(count) for count in counts)


def _spread(values: Sequence[float], digits: str) -> str:
    return f"{statistics.median(values):{digits}}, {max(values):{digits}}"


def _seeds(seeds: Iterable[int]) -> str:
    """Seeds that follow on each other share a word."""
    runs: list[list[int]] = []
    for seed in sorted(seeds):
        if runs and seed == runs[-1][-1] + 1:
            runs[-1].append(seed)
        else:
            runs.append([seed])
    return ", ".join(f"{run[0]} to {run[-1]}" if run[1:] else f"{run[0]}" for run in runs)


def _clock(seconds: float) -> str:
    return f"{seconds // 3600:.0f}:{seconds % 3600 // 60:02.0f}"


def _promise(done: object) -> str:
    """The first line of a function's docstring, of a partial one's too."""
    return (getattr(done, "func", done).__doc__ or "").split("\n", 1)[0]


if __name__ == "__main__":
    main()
