"""What the commands about jobs share: settings, an up-to-date view, bars, exit codes."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import typer
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn

from consumer.settings import KafkaSettings, ViewSettings, load
from producer_tools.cli.output import progress_bar
from producer_tools.view.view import SharedView

JOB_FAILED, WRONG_USAGE, TIMED_OUT, INTERRUPTED = 1, 2, 5, 130
_FAR_BEHIND = 20_000
"""So many records take seconds to fold."""


def run(command: Coroutine[Any, Any, int]) -> None:
    """Run a command, and exit with its code."""
    try:
        code = asyncio.run(command)
    except KeyboardInterrupt:
        code = INTERRUPTED
    raise typer.Exit(code)


@asynccontextmanager
async def up_to_date_view() -> AsyncIterator[SharedView]:
    """Open the view, and fold all that is in the topics, with a bar while far behind."""
    async with SharedView(load(KafkaSettings), load(ViewSettings).file) as view:
        await catch_up(view)
        yield view


async def catch_up(view: SharedView) -> None:
    """Fold all that is in the topics, with a bar while far behind."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    with progress_bar(*columns, TimeRemainingColumn(), transient=True) as bar:
        task = bar.add_task("Reading the topics", total=None, visible=False)

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, visible=total > _FAR_BEHIND)

        await view.catch_up(show)
