"""A stderr that nobody waits for: a thread writes it, and what it can't write is dropped.

A reader that hangs, a full disk or a closed descriptor would otherwise block the event loop, or end
the process, at its next line of log.
"""

import io
import os
import select
import sys
from collections import deque
from collections.abc import Callable
from threading import Condition, Thread
from typing import Self, TextIO

import structlog

STDERR = 2
MOST_BYTES = 1 << 20
"""Of lines that wait to be written."""

CLOSE_SECONDS = 2.0
"""The longest that the end waits for the last lines."""

log = structlog.get_logger()


class LogStream(io.TextIOBase):
    """Stands in for `sys.stderr` while it is open; its `write` never waits."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lines: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._changed = Condition()
        self._open = True
        self._torn = False
        self._dropped = 0
        self._count: Callable[[], object] = int
        self._thread = Thread(target=self._run, name="log", daemon=True)
        self._replaced: TextIO | None = None

    @classmethod
    def on_stderr(cls) -> Self:
        """Make the stream of the process's stderr, also where it was started without one.

        Else the next socket would get the descriptor, and every library's words.
        """
        for descriptor in range(3):
            try:
                os.fstat(descriptor)
            except OSError:
                os.open(os.devnull, os.O_RDONLY)  # gets the lowest that is free
        return cls(STDERR)

    def __enter__(self) -> Self:
        self._replaced, sys.stderr = sys.stderr, self
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Write what waits; give up after `CLOSE_SECONDS`, and leave the thread to itself."""
        with self._changed:
            self._open = False
            self._changed.notify()
        self._thread.join(CLOSE_SECONDS)
        if not self._thread.is_alive():  # else nothing may wait for the true one, as it does
            sys.stderr = self._replaced

    def count_drops(self, count: Callable[[], object]) -> None:
        """Call `count` for each line that is dropped from now on."""
        self._count = count

    def write(self, text: str) -> int:
        """Take text to be written; drop it where too much waits already."""
        line = text.encode(errors="backslashreplace")
        with self._changed:
            if not self._open or self._waiting_bytes + len(line) > MOST_BYTES:
                self._drop()
            else:
                self._lines.append(line)
                self._waiting_bytes += len(line)
                self._changed.notify()
        return len(text)

    def writable(self) -> bool:
        """Say that it can be written."""
        return True

    def isatty(self) -> bool:
        """Whether a person reads it."""
        return os.isatty(self._descriptor)

    def _run(self) -> None:
        """Write lines until closed."""
        reported = 0
        while (line := self._next()) is not None:
            try:
                self._put(line)
            except OSError:
                with self._changed:
                    self._drop()
                continue
            if self._dropped > reported:
                reported = self._dropped
                log.warning("lines.dropped", count=reported)

    def _drop(self) -> None:
        self._dropped += 1
        self._count()

    def _next(self) -> bytes | None:
        with self._changed:
            while not self._lines and self._open:
                self._changed.wait()
            if not self._lines:
                return None
            line = self._lines.popleft()
            self._waiting_bytes -= len(line)
            return line

    def _put(self, line: bytes) -> None:
        rest = memoryview(b"\n" + line if self._torn else line)
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
                self._torn = bool(rest)
            except BlockingIOError:  # whoever shares it has made it so
                select.select([], [self._descriptor], [])
