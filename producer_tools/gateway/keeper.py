"""Keeps the view up to date while the gateway runs, and says how current it is."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NoReturn, TypeVar

import structlog

from consumer.settings import KafkaSettings
from producer_tools.errors import DiskFullError, ServiceError, ToolError, ViewError
from producer_tools.gateway.refusal import Refused, no_room, unavailable
from producer_tools.view.queries import Queries
from producer_tools.view.readers import Readers
from producer_tools.view.view import SharedView

T = TypeVar("T")

log = structlog.get_logger()

CURRENT_SECONDS = 10.0
"""A view that is older answers nothing."""
CATCH_UP_SECONDS = 8.0
"""The longest that a request waits for the view."""
_AGAIN_SECONDS = 1.0
_READERS = 2


class Keeper:
    """The view of a gateway. `run` keeps it up to date; all else answers from it."""

    def __init__(self, settings: KafkaSettings, path: Path) -> None:
        self._settings = settings
        self._path = path
        self._readers = Readers(path, threads=_READERS)
        self._view: SharedView | None = None
        self._followed: SharedView | None = None
        self._problem = "the view has not been read yet"
        self._disk_full = False
        self._ready = False

    @property
    def ready(self) -> bool:
        """Whether the view has reached the ends that the topics had at the start."""
        return self._ready

    @property
    def age(self) -> float:
        """How many seconds ago the view had all that there was."""
        return max(0.0, time.time() - self._current_at)

    @property
    def problem(self) -> str | None:
        """Why the view can't be used. None: it can."""
        if self._disk_full or not self._ready or self.age > CURRENT_SECONDS:
            return self._problem
        return None

    def renew(self, settings: KafkaSettings) -> None:
        """Reach Kafka by these settings from now on."""
        self._settings = settings
        if self._followed is not None:
            self._followed.renew(settings)

    async def run(self) -> NoReturn:
        """Keep the view up to date, whatever happens, until this is cancelled."""
        try:
            while True:
                try:
                    await self._follow()
                except (ServiceError, ViewError) as error:
                    self._note(error)
                except Exception as error:  # a fault of ours ends no gateway
                    log.error("view.failed", exc_info=error)
                    self._problem = "the view can't be kept up to date"
                await asyncio.sleep(_AGAIN_SECONDS)
        finally:
            self._readers.close()

    def check(self) -> None:
        """Return if the view can be used.

        Raises:
            Refused: 503, or 507 where the disk is full.
        """
        if self.problem is not None:
            raise self._refusal()

    async def ask(self, question: Callable[[Queries], T]) -> T:
        """Answer a question from the view as it is.

        Raises:
            Refused: The view is older than 10 s.
        """
        self.check()
        try:
            return await self._readers.ask(question)
        except ViewError as error:
            raise _refusal(error) from error

    async def catch_up(self) -> None:
        """Return when the view has all that `read_committed` could see when this was called.

        Raises:
            Refused: That can't be had in time.
        """
        await self._within(lambda view: view.catch_up())

    async def reach(self, end: int) -> None:
        """Return when the view has all records of the jobs topic before `end`.

        Raises:
            Refused: That can't be had in time.
        """
        await self._within(lambda view: view.reach(self._settings.jobs_topic, end))

    @property
    def _current_at(self) -> float:
        if self._view is not None:
            self._last_current_at = max(self._last_current_at, self._view.current_at)
        return self._last_current_at

    _last_current_at = 0.0

    async def _follow(self) -> None:
        self._followed = SharedView(self._settings, self._path)
        async with self._followed as view:
            self._readers.renew()
            await view.catch_up()
            self._view = view
            try:
                if not self._ready:
                    log.info("view.caught_up")
                self._ready, self._disk_full = True, False
                self._problem = "the view has not heard from Kafka for 10 s"
                await view.follow()
            except ToolError as error:
                self._note(error)  # before others are told that the view is closed
                raise
            finally:
                self._last_current_at = self._current_at
                self._view = None

    def _note(self, error: ToolError) -> None:
        if str(error) != self._problem:
            log.warning("view.behind", reason=str(error))
        self._problem = str(error)
        self._disk_full = isinstance(error, DiskFullError)

    async def _within(self, wait: Callable[[SharedView], Awaitable[None]]) -> None:
        view = self._view
        if view is None:
            raise self._refusal()
        try:
            async with asyncio.timeout(CATCH_UP_SECONDS):
                await wait(view)
        except TimeoutError:
            raise unavailable(f"the view is {self.age:.0f} s behind Kafka") from None
        except Exception as error:
            if self._view is not view:  # closed in the midst of this: what has closed it is why
                raise self._refusal() from error
            if isinstance(error, ToolError):
                raise _refusal(error) from error
            raise

    def _refusal(self) -> Refused:
        return (no_room if self._disk_full else unavailable)(self._problem)


def _refusal(error: ToolError) -> Refused:
    return (no_room if isinstance(error, DiskFullError) else unavailable)(str(error))
