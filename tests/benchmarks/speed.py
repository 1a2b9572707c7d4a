"""Photos a second: the cores alone, a plain loop, and the whole line, side by side.

The four take turns, several rounds of all photos each, and medians are given, because a machine's
speed drifts. The plain loop and our line run in processes of their own with the same settings,
S3, callback receiver and broker, all on this machine and its cores.
"""

import asyncio
import os
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from consumer.settings import Settings
from producer_tools.local.stack import LocalStack
from tests.benchmarks.cpu import Meter
from tests.benchmarks.lines import (
    check_exactly_once,
    make_line,
    open_lane,
    running,
    seconds_until_settled,
    terminal_events,
    upload,
)
from tests.benchmarks.one_process import (
    bare_inference,
    default_model,
    image_limits,
    tensor_of,
    whole_way,
)
from tests.benchmarks.tables import show
from tests.support.line_names import LineNames

AIM = 0.7
_WARM_PHOTOS = 16

BARE = "bare inference, tensors ready"
WHOLE = "decode + inference + masks, one process"
PLAIN = "plain at-least-once loop, eight at a time"
OURS = "our line, exactly once, in order"


@dataclass
class Figures:
    """What was measured of one contestant, a round each."""

    rates: list[float] = field(default_factory=list)
    cpu: list[dict[str, float]] = field(default_factory=list)
    others: list[float] = field(default_factory=list)


def measure(
    stack: LocalStack, settings: Settings, photos: Sequence[bytes], *, rounds: int
) -> dict[str, Figures]:
    """Run all four on these photos, and print the tables."""
    with ExitStack() as programs:
        model = default_model(settings)
        limits = image_limits(settings.images)
        tensors = [tensor_of(photo, model, limits) for photo in photos]
        images = upload(stack, photos)
        plain, ours = (asyncio.run(make_line(stack)) for _ in range(2))
        plain_loop = programs.enter_context(
            running(stack, plain, module="tests.benchmarks.plain_loop")
        )
        consumer = programs.enter_context(running(stack, ours))
        asyncio.run(open_lane(consumer))
        pids = {
            "worker": os.getpid(),
            "broker": stack.kafka.child.pid,
            "S3": stack.s3.child.pid,
            "callback": stack.mask_assets.child.pid,
        }

        def through(line: LineNames) -> Callable[[], Coroutine[Any, Any, float]]:
            return lambda: seconds_until_settled(stack, line, images)

        async def alone(work: Callable[..., float], inputs: Sequence[object]) -> float:
            return await asyncio.to_thread(work, inputs, model, settings)

        for line in (plain, ours):
            asyncio.run(seconds_until_settled(stack, line, images[:_WARM_PHOTOS]))
        contestants: dict[str, tuple[int, Callable[[], Coroutine[Any, Any, float]]]] = {
            BARE: (os.getpid(), lambda: alone(bare_inference, tensors)),
            WHOLE: (os.getpid(), lambda: alone(whole_way, photos)),
            PLAIN: (plain_loop.pid, through(plain)),
            OURS: (consumer.pid, through(ours)),
        }
        figures = {name: Figures() for name in contestants}
        for _ in range(rounds):
            for name, (pid, run) in contestants.items():
                _note(figures[name], run, {**pids, "worker": pid}, len(photos))
        events = asyncio.run(terminal_events(stack, ours))
        check_exactly_once(events, jobs=min(_WARM_PHOTOS, len(images)) + rounds * len(photos))
    _print(figures, len(photos), rounds)
    return figures


def _note(
    figures: Figures,
    run: Callable[[], Coroutine[Any, Any, float]],
    pids: Mapping[str, int],
    count: int,
) -> None:
    meter = Meter.start(pids)
    seconds = asyncio.run(run())
    used, others = meter.stop()
    figures.rates.append(count / seconds)
    figures.cpu.append({name: 1000 * spent / count for name, spent in used.items()})
    figures.others.append(others)


def _print(figures: Mapping[str, Figures], count: int, rounds: int) -> None:
    reference = median(figures[WHOLE].rates)
    show(
        f"Photos a second: {count} photos, {rounds} rounds, medians",
        ["", "photos/s", "of one process", "least", "most", "others' cores"],
        [
            [
                name,
                f"{median(found.rates):.1f}",
                f"{_ratio(found, figures[WHOLE]):.2f}",
                f"{min(found.rates):.1f}",
                f"{max(found.rates):.1f}",
                f"{median(found.others):.2f}",
            ]
            for name, found in figures.items()
        ],
        note=f"of one process: median of the rounds' ratios; aim of our line {AIM}"
        f" ({AIM * reference:.1f} photos/s); others' cores: taken by programs not of this run",
    )
    names = list(figures[OURS].cpu[0])
    show(
        "Processor time, milliseconds a photo, medians",
        ["", *names, "all", "of one process"],
        [
            [
                name,
                *_cpu_row(found, names),
                f"{_cpu(found):.1f}",
                f"{_cpu_ratio(figures, name):.2f}",
            ]
            for name, found in figures.items()
        ],
        note="worker: the process that segments. of one process: what the photos a second would be,"
        " were the machine otherwise idle and always busy",
    )


def _ratio(found: Figures, reference: Figures) -> float:
    return median(a / b for a, b in zip(found.rates, reference.rates, strict=True))


def _cpu(found: Figures) -> float:
    return median(sum(spent.values()) for spent in found.cpu)


def _cpu_row(found: Figures, names: Sequence[str]) -> list[str]:
    return [f"{median(spent[name] for spent in found.cpu):.1f}" for name in names]


def _cpu_ratio(figures: Mapping[str, Figures], name: str) -> float:
    return _cpu(figures[WHOLE]) / _cpu(figures[name])
