"""The progress of a download: a bar on a terminal, two lines elsewhere."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn


class DownloadProgress:
    """Shows the progress of a download. Thread-safe.

    Args:
        what: Name of the download, for people.
        size: Its size in bytes.
        console: Where the progress is shown.
    """

    def __init__(self, what: str, size: int, console: Console) -> None:
        self._what = what
        self._console = console
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._title = f"Fetching {what} (about {size / 1e6:.0f} MB, once) …"
        self._task = self._bar.add_task(self._title, total=size)
        self._since = 0.0

    def __enter__(self) -> Self:
        self._since = time.monotonic()
        if not self._console.is_terminal:
            self._console.print(self._title)
        self._bar.start()
        return self

    def advance(self, count: int) -> None:
        """Add `count` bytes to the progress."""
        self._bar.advance(self._task, count)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.stop()
        if error is None:
            seconds = time.monotonic() - self._since
            self._console.print(f"{self._what} fetched in {seconds:.0f} s.")
