"""Threads that read the view's file, beside the one that folds."""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock, local
from typing import TypeVar

from producer_tools.view.file import open_reader, sqlite_errors
from producer_tools.view.queries import Queries

T = TypeVar("T")


class Readers:
    """So many questions are answered at once, each from a consistent moment.

    `renew` is to be called when the file may be another one: a damaged file is made anew.
    """

    def __init__(self, path: Path, *, threads: int) -> None:
        self._path = path
        self._threads = ThreadPoolExecutor(threads, "view.read")
        self._own = local()
        self._generation = 0
        self._lock = Lock()
        self._open: list[sqlite3.Connection] = []

    def renew(self) -> None:
        """Open the file anew before the next question."""
        self._generation += 1

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown()
        for connection in self._open:
            connection.close()

    async def ask(self, question: Callable[[Queries], T]) -> T:
        """Answer a question.

        Raises:
            ViewError: The file can't be read.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._answer, question)

    def _answer(self, question: Callable[[Queries], T]) -> T:
        with sqlite_errors(self._path):
            queries = Queries(self._connection())
            with queries.snapshot():
                return question(queries)

    def _connection(self) -> sqlite3.Connection:
        """Return this thread's connection."""
        found: tuple[int, sqlite3.Connection] | None = getattr(self._own, "found", None)
        if found is not None and found[0] == self._generation:
            return found[1]
        generation = self._generation
        connection = open_reader(self._path)
        with self._lock:
            if found is not None:
                found[1].close()
                self._open.remove(found[1])
            self._open.append(connection)
        self._own.found = (generation, connection)
        return connection
