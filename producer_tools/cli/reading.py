"""A bar for what reads or writes topics: how far it is, and how long it will take."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

from producer_tools.cli.output import progress_bar
from producer_tools.client.scan import Progress


class Show(Protocol):
    """Takes what is being done, and returns where to tell how far it is."""

    def __call__(self, what: str, *, total: int | None = None) -> Progress:
        """Begin a bar. Without a total it only says the offset that is reached."""


@contextmanager
def reading() -> Iterator[Show]:
    """Show bars on stderr, on a terminal only."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with progress_bar(*columns, TimeRemainingColumn(), transient=True) as bar:

        def show(what: str, *, total: int | None = None) -> Progress:
            task = bar.add_task(what, total=total)
            return lambda done: bar.update(task, completed=done)

        yield show
