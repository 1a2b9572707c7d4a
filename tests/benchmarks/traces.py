"""Processor time a photo with traces on, against the same consumer without, in one run.

Both run on the same stack, each on a line of its own, and take turns with the same photos. The
collector is in this process, whose time isn't counted.
"""

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from statistics import median

from producer_tools.local.stack import LocalStack
from tests.benchmarks.cpu import Meter
from tests.benchmarks.lines import make_line, open_lane, running, seconds_until_settled, upload
from tests.benchmarks.tables import show
from tests.support.collector import Collector

_WARM_ROUNDS = 1


def measure(stack: LocalStack, photos: Sequence[bytes], *, rounds: int) -> None:
    """Let both consumers settle all photos in each round, and print the ratio of the rounds."""
    spent: list[dict[str, float]] = []
    with ExitStack() as programs:
        collector = programs.enter_context(Collector())
        images = upload(stack, photos)
        lines = {name: asyncio.run(make_line(stack)) for name in ("on", "off")}
        pids = {}
        for name, settings in (
            ("on", {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint}),
            ("off", {}),
        ):
            consumer = programs.enter_context(running(stack, lines[name], **settings))
            asyncio.run(open_lane(consumer))
            pids[name] = consumer.pid
        for number in range(_WARM_ROUNDS + rounds):
            used = {}
            for name in ("on", "off") if number % 2 else ("off", "on"):
                meter = Meter.start({name: pids[name]})
                asyncio.run(seconds_until_settled(stack, lines[name], images))
                used[name] = meter.stop()[0][name]
            spent.append(used)
        spans = len(collector.spans)
    _print(spent[_WARM_ROUNDS:], len(photos), spans / len(photos) / len(spent))


def _print(spent: Sequence[dict[str, float]], count: int, spans: float) -> None:
    ratios = [used["on"] / used["off"] for used in spent]
    show(
        f"Processor time, milliseconds a photo: {count} photos, {len(spent)} rounds",
        ["traces on", "off", "ratio, median", "least", "most"],
        [
            [
                f"{1000 * median(used['on'] for used in spent) / count:.1f}",
                f"{1000 * median(used['off'] for used in spent) / count:.1f}",
                f"{median(ratios):.3f}",
                f"{min(ratios):.3f}",
                f"{max(ratios):.3f}",
            ]
        ],
        note=f"{spans:.1f} spans a photo; a ratio is of the two turns of one round",
    )
