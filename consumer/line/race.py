"""A race: several things under way, of which the first to end ends the others."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def race(*runners: Coroutine[Any, Any, object]) -> None:
    """Run all until one of them ends; cancel the others, wait for them, raise what ended it.

    Where it is cancelled itself, all are. What the others raise on their way out is not news.
    """
    tasks = [asyncio.create_task(runner) for runner in runners]
    try:
        finished, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        for task in tasks:
            if not task.cancelled():
                task.exception()
    for task in tasks:
        if task in finished:
            task.result()


async def unless(stop: asyncio.Event, runner: Coroutine[Any, Any, T]) -> T | None:
    """Give what `runner` gives; cancel it and give None where `stop` comes first."""
    given: list[T] = []

    async def run() -> None:
        given.append(await runner)

    await race(run(), stop.wait())
    return given[0] if given else None
