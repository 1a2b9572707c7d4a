"""`python -m tests.faults.reliability FILE…`: writes docs/reliability.md from files of results."""

from __future__ import annotations

import re
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tests.faults.faults import KINDS
from tests.faults.oracle import CHECKS
from tests.faults.planted import PLANTED
from tests.faults.results import Result, read

_HEAD = """\
# Reliability

**The promise**: a subscriber that reads with `isolation_level=read_committed` sees exactly one
terminal event for every record of the jobs topic, in offset order, whatever breaks. Its terminal
event, its dead letter and the committed offset become durable together or not at all.

**The proof** is a laboratory that ships with the code: a real Kafka, S3 and mask-asset service on
one machine, consumers as processes of their own, seeded schedules of faults, and an oracle that
shares no code with the product. It reads the topics, the committed offset, the service's log and
the consumers' logs, and judges them by {checks} checks. All figures on this page are written by
`python -m tests.faults.reliability docs/reliability.jsonl` from what the runs below left behind.

Machine: {machine}. Other work shared it.

## What was run

{runs}

Each run mixes good records with bad ones of every kind ({poisoned} records in all were bad), with
duplicates, tombstones and producers' aborted transactions between them. The callback answers after
0 to 50 ms. Out of order: {disorder}.

## What each fault costs

*Stands still*: the longest time in which a subscriber saw nothing settled, the fault itself
included. *Recovers*: from the end of its cause (the process started again, the service back) to
the next record settled; after a SIGKILL most of it is the session time-out of 6 s. *Again*: records
that were begun a second time; their upload may be repeated under the same `Idempotency-Key`. Times
are median and longest, in seconds.

{costs}

{kinds}

## The laboratory can fail

Faults planted in the consumer, each a careless change that a reviewer might pass
([planted.py](../tests/faults/planted.py)), on the same real stack
(`python -m tests.faults --planted`). The oracle's unit tests plant more in the evidence itself, at
least one for each check.

{planted}

## What the promise doesn't cover

- **The callback is called at least once.** A process that dies between an upload and its settlement
  leaves the upload to be repeated. All uploads of one record bear one `Idempotency-Key`: a service
  that keeps to it stores them once.
- **`processing` and `retrying` may repeat**, or come late from a process that died. Only the
  terminal event is promised once. Readers with `read_uncommitted` see events that are never
  committed, too.
- **A broker that loses what it acknowledged loses it for us.** The laboratory has one broker,
  killed and restarted on its own data. With replication, `acks=all` (which the consumer always
  uses) needs `min.insync.replicas` of at least 2 and no unclean leader election to mean what it
  says. If the status topic loses a terminal event and the offset survives, that event is gone; if
  the offset is lost and the events survive, the consumer finds the end of its own events in the
  status topic and goes on there.
- **Retention.** A record that Kafka deletes before it is taken never was a job. The consumer halts
  and says so; it doesn't skip.
- **A header whose name isn't UTF-8** can't be read by aiokafka, not even to put the record aside:
  the line halts before it, and a person decides (`maskline consume --from-offset`).
- **Hands on the offset.** Who commits our group's offset by other means moves the line.
- **Faults that we don't make**: a full disk, a clock that jumps, several brokers, a network that
  flips bits.

## Run it

```
make faults                                              2,000 records, 10 faults of all kinds
make faults ARGS="--seed 101 --runs 20 --results r.jsonl"  a series; goes on where it stopped
make faults ARGS="--planted"                             a consumer that cheats is found out
make soak                                                30 minutes of everything
```

Each run prints its seed and its schedule; the same options give the same workload and the same
faults. `--folder` keeps all logs. A run that fails says how to run it again.
"""


def main() -> None:
    """Write the page to standard output."""
    sys.stdout.write(page(read(map(Path, sys.argv[1:]))))


def page(results: Sequence[Result]) -> str:
    """Give the page for these results.

    Raises:
        ValueError: there are none.
    """
    if not results:
        raise ValueError("no results: run `python -m tests.faults --results FILE` first")
    runs = [one for one in results if "planted" not in one.asked]
    kinds = sorted({cost["kind"] for one in runs for cost in one.costs})
    disorder = sum(any("order" in check for check in one.against) for one in runs)
    return _HEAD.format(
        checks=len(CHECKS),
        machine="; ".join(sorted({one.machine for one in results})),
        runs=_runs(runs),
        poisoned=f"{sum(one.asked['poisoned'] for one in runs):,}",
        disorder=f"{disorder} of {len(runs)} runs" if disorder else "none",
        costs=_costs(runs),
        kinds="\n".join(f"- `{kind}`: {_promise(KINDS[kind])}" for kind in kinds),
        planted=_planted(results),
    )


def _runs(results: Sequence[Result]) -> str:
    """Runs of one schedule and size share a line."""
    alike: defaultdict[tuple[Any, ...], list[Result]] = defaultdict(list)
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


def _costs(runs: Sequence[Result]) -> str:
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


def _planted(results: Iterable[Result]) -> str:
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


def _count(runs: Iterable[Result], what: str) -> int:
    counts = [cost[what] for one in runs for cost in one.costs]
    return sum(count if isinstance(count, int) else len(count) for count in counts)


def _spread(values: Sequence[float], digits: str) -> str:
    return f"{statistics.median(values):{digits}}, {max(values):{digits}}"


def _seeds(seeds: Iterable[int]) -> str:
    ordered = sorted(seeds)
    together = ordered[-1] - ordered[0] == len(ordered) - 1 > 0
    return f"{ordered[0]} to {ordered[-1]}" if together else ", ".join(map(str, ordered))


def _clock(seconds: float) -> str:
    return f"{seconds // 3600:.0f}:{seconds % 3600 // 60:02.0f}"


def _promise(done: object) -> str:
    """The first line of a function's docstring, of a partial one's too."""
    return (getattr(done, "func", done).__doc__ or "").split("\n", 1)[0]


if __name__ == "__main__":
    main()
