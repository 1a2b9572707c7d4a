"""The view as a command uses it: folded here or, if another process does that, read."""

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Protocol, Self, TypeVar

from aiokafka import TopicPartition

from consumer.kafka.reader import Reader
from consumer.kafka.rights import to_read
from consumer.settings import KafkaSettings
from producer_tools.client.line import ends, find_line, open_reader
from producer_tools.client.renewal import Renewal
from producer_tools.errors import ViewError
from producer_tools.view.file import LockedError, identity_of, is_locked, sqlite_errors
from producer_tools.view.file import open_reader as open_file
from producer_tools.view.folder import Folder, Progress, identity
from producer_tools.view.queries import Queries

T = TypeVar("T")

STALLED_SECONDS = 15.0
"""A process that keeps the view and folds nothing for so long has stopped."""
_LOOK_SECONDS = 0.05
_FOLLOW_SECONDS = 0.2


class View(Protocol):
    """What a command may ask of the view."""

    async def catch_up(self, progress: Progress | None = None) -> None:
        """Return when the view has all that `read_committed` could see when it was called."""

    async def reach(self, topic: str, end: int) -> None:
        """Return when the view has all records of this topic before `end`."""

    async def follow(self) -> None:
        """Keep up with the topics, until this is cancelled or ends with an error."""

    async def ask(self, question: Callable[[Queries], T]) -> T:
        """Answer a question."""

    @property
    def current_at(self) -> float:
        """When the view last had all that `read_committed` could see, as `time.time` has it."""


class SharedView:
    """The view of a line, as a context manager: folded here, or read where another process folds.

    Raises:
        ViewError: The file can't be used.
        ServiceError: Kafka can't be reached, or a topic is missing.
    """

    def __init__(self, settings: KafkaSettings, path: Path) -> None:
        self._settings = settings
        self._path = path
        self._view: View | None = None
        self._current_at = 0.0
        self._outdated = False
        self._ended = False
        self._renewal = Renewal()
        self._opening = asyncio.Lock()
        self._opened = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._open_view()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._ended = True
        await self._close()

    def renew(self, settings: KafkaSettings) -> None:
        """Reach Kafka by these settings; whoever waits for the view goes on waiting."""
        self._settings = settings
        self._outdated = True
        self._renewal.announce()

    async def catch_up(self, progress: Progress | None = None) -> None:
        """Return when the view has all that `read_committed` could see when it was called.

        Raises:
            LockedError: The process that folds gets no further.
            ServiceError: Kafka doesn't answer.
        """
        await self._with_view(lambda view: view.catch_up(progress))

    async def reach(self, topic: str, end: int) -> None:
        """Return when the view has all records of this topic before `end`. Errors: `catch_up`."""
        await self._with_view(lambda view: view.reach(topic, end))

    async def follow(self) -> None:
        """Keep up with the topics, until this is cancelled. The errors are those of `catch_up`."""
        await self._with_view(lambda view: view.follow())

    async def ask(self, question: Callable[[Queries], T]) -> T:
        """Answer a question from what is folded."""
        return await self._with_view(lambda view: view.ask(question))

    @property
    def current_at(self) -> float:
        """When the view last had all that `read_committed` could see, as `time.time` has it."""
        if self._view is not None:
            self._current_at = max(self._current_at, self._view.current_at)
        return self._current_at

    async def _with_view(self, work: Callable[[View], Awaitable[T]]) -> T:
        """Do it with the view. Where that is closed meanwhile, do it again with the next one."""
        while True:
            view = await self._open_view()
            try:
                async with self._renewal.ends():
                    return await work(view)
            except _FolderEndedError:  # so it is our turn, or another's
                async with self._opening:
                    if self._view is view:
                        await self._close()
            except Exception:
                if self._view is view:
                    raise

    async def _open_view(self) -> View:
        """Return the view. It is opened if it isn't yet, or if it stands on old settings."""
        async with self._opening:
            if self._ended:
                raise ViewError(f"VIEW_FILE={self._path} is closed")
            if self._outdated:
                self._outdated = False
                await self._close()
            if self._view is None:
                self._view = await self._open()
            return self._view

    async def _close(self) -> None:
        self._current_at, self._view = self.current_at, None
        await self._opened.aclose()

    async def _open(self) -> View:
        """Fold, or watch another process that does."""
        view: View
        async with AsyncExitStack() as opening:
            try:
                folder = Folder(self._settings, self._path)
                view = await opening.enter_async_context(folder)
            except LockedError:
                watched = WatchedView(self._settings, self._path)
                view = await opening.enter_async_context(watched)
            self._opened = opening.pop_all()
        return view


class _FolderEndedError(Exception):
    """No process keeps the file up to date any more."""


class WatchedView:
    """The view that another process keeps up to date, as a context manager.

    Raises:
        LockedError: That process keeps it for another line, or has stopped.
    """

    def __init__(self, settings: KafkaSettings, path: Path) -> None:
        self._settings = settings
        self._path = path
        self._thread = ThreadPoolExecutor(1, "view")
        self._names = (settings.jobs_topic, settings.status_topic, settings.control_topic)
        self._connection: sqlite3.Connection
        self._reader: Reader
        self._opened = AsyncExitStack()
        self.current_at = 0.0

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as opening:
            opening.callback(self._thread.shutdown)
            line = await find_line(self._settings, to_read(*self._names))
            self._connection = await self._open_file()
            opening.push_async_callback(self._run, self._connection.close)
            found = await self._run(partial(identity_of, self._connection))
            if found != identity(line, self._settings.consumer_group):
                raise LockedError(
                    f"VIEW_FILE={self._path} is in use by a process of another line or version."
                    " Name another file"
                )
            self._reader = await opening.enter_async_context(open_reader(self._settings))
            self._opened = opening.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._opened.aclose()

    async def catch_up(self, progress: Progress | None = None) -> None:
        """Wait until the other process has folded all that there is now.

        Raises:
            LockedError: It gets no further.
        """
        asked_at = time.time()
        partitions = [TopicPartition(name, 0) for name in self._names]
        found = await ends(self._settings, self._reader, partitions)
        await self._reach({each.topic: end for each, end in found.items()}, progress)
        self.current_at = max(self.current_at, asked_at)

    async def reach(self, topic: str, end: int) -> None:
        """Wait until the other process has folded all records of this topic before `end`."""
        await self._reach({topic: end}, None)

    async def follow(self) -> None:
        """See again and again that the other process keeps up, until this is cancelled."""
        while True:
            await self.catch_up()
            await asyncio.sleep(_FOLLOW_SECONDS)

    async def _reach(self, wanted: Mapping[str, int], progress: Progress | None) -> None:
        start = positions = await self.ask(Queries.positions)
        moved_at = time.monotonic()
        while any(positions.get(name, 0) < end for name, end in wanted.items()):
            if time.monotonic() - moved_at > STALLED_SECONDS:
                raise LockedError(
                    f"VIEW_FILE={self._path} is locked by a process that gets no further. End that"
                    " process, or name another file"
                )
            await asyncio.sleep(_LOOK_SECONDS)
            if not await self._run(partial(is_locked, self._path)):
                raise _FolderEndedError
            before, positions = positions, await self.ask(Queries.positions)
            if positions != before:
                moved_at = time.monotonic()
            if progress is not None:
                done = sum(positions.get(name, 0) - start.get(name, 0) for name in wanted)
                progress(done, sum(end - start.get(name, 0) for name, end in wanted.items()))

    async def ask(self, question: Callable[[Queries], T]) -> T:
        """Answer a question from what is folded."""

        def answer() -> T:
            with sqlite_errors(self._path):
                return question(Queries(self._connection))

        return await self._run(answer)

    async def _open_file(self) -> sqlite3.Connection:
        """Open it. The process that has it locked may be about to make it."""
        end = time.monotonic() + STALLED_SECONDS
        while True:
            try:
                return await self._run(partial(open_file, self._path))
            except ViewError:
                if time.monotonic() > end:
                    raise
                await asyncio.sleep(_LOOK_SECONDS)

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
