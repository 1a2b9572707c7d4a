"""Processor time a photo: this checkout's consumer against another checkout's, in one run.

Both consumers run on the same stack, each on a line of its own. They take turns with the same
photos, and each round begins with the other one, so a drift of the machine's speed hits both.
"""

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from producer_tools.local.stack import LocalStack
from tests.benchmarks.cpu import Meter
from tests.benchmarks.lines import make_line, open_lane, running, seconds_until_settled, upload
from tests.benchmarks.tables import show

_ROOT = Path(__file__).parents[2]
_WARM_ROUNDS = 1


def measure(stack: LocalStack, photos: Sequence[bytes], *, checkout: Path, rounds: int) -> None:
    """Let both consumers settle all photos in each round, and print the ratio of each round."""
    spent: list[dict[str, dict[str, float]]] = []
    with ExitStack() as programs:
        images = upload(stack, photos)
        lines = {name: asyncio.run(make_line(stack)) for name in ("this", "other")}
        pids = {}
        for name, folder in (("this", _ROOT), ("other", checkout.resolve())):
            # Without a safe path, `python -m` would take the modules of the current folder.
            path = {"PYTHONSAFEPATH": "1", "PYTHONPATH": str(folder)}
            consumer = programs.enter_context(running(stack, lines[name], **path))
            asyncio.run(open_lane(consumer))
            pids[name] = consumer.pid
        services = {"broker": stack.kafka.child.pid, "S3": stack.s3.child.pid}
        for number in range(_WARM_ROUNDS + rounds):
            order = ("this", "other") if number % 2 else ("other", "this")
            used = {}
            for name in order:
                meter = Meter.start({"consumer": pids[name], **services})
                asyncio.run(seconds_until_settled(stack, lines[name], images))
                used[name], _ = meter.stop()
            spent.append(used)
    _print(spent[_WARM_ROUNDS:], len(photos), checkout)


def _print(spent: Sequence[dict[str, dict[str, float]]], count: int, checkout: Path) -> None:
    rows = []
    for part in ("consumer", "broker"):
        mine, theirs = ([used[name][part] for used in spent] for name in ("this", "other"))
        ratios = [a / b for a, b in zip(mine, theirs, strict=True)]
        rows.append(
            [
                part,
                f"{1000 * median(mine) / count:.1f}",
                f"{1000 * median(theirs) / count:.1f}",
                f"{median(ratios):.3f}",
                f"{min(ratios):.3f}",
                f"{max(ratios):.3f}",
            ]
        )
    show(
        f"Processor time, milliseconds a photo: {count} photos, {len(spent)} rounds",
        ["", "this checkout", "the other", "ratio, median", "least", "most"],
        rows,
        note=f"the other: {checkout.name}; a ratio is of the two turns of one round",
    )
