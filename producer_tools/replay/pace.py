"""The pace of a replay: so many of its copies wait at once, so that live jobs wait behind few."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import aclosing
from typing import Self

from consumer.settings import KafkaSettings
from producer_tools.client.following import follow
from schemas.status import TERMINAL_STATES

STALLED_SECONDS = 60.0


class Pace:
    """Knows how many copies may be added now, as a context manager: inside, it follows the line."""

    def __init__(
        self,
        settings: KafkaSettings,
        *,
        most: int,
        follow_from: int,
        on_stalled: Callable[[], None],
    ) -> None:
        """Begin to follow at an offset of the status topic.

        `most`: how many copies may be unsettled. `on_stalled` is called where the line settles
        nothing for a minute.
        """
        self._settings = settings
        self._most = most
        self._follow_from = follow_from
        self._on_stalled = on_stalled
        self._waiting: deque[int] = deque()
        self._settled_through = -1
        self._moved = asyncio.Event()
        self._following: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._following = asyncio.create_task(self._follow(), name="replay.follow")
        self._following.add_done_callback(lambda _: self._moved.set())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)

    @property
    def waiting(self) -> int:
        """How many copies are not settled."""
        return len(self._waiting)

    def add(self, copies: Iterable[int]) -> None:
        """Note copies that are in the topic, by their offsets, in order."""
        self._waiting.extend(offset for offset in copies if offset > self._settled_through)

    def settled(self, through: int) -> None:
        """Note that the line has settled all records up to this offset: it settles in order."""
        self._settled_through = max(through, self._settled_through)
        while self._waiting and self._waiting[0] <= self._settled_through:
            self._waiting.popleft()
        self._moved.set()

    async def room(self) -> int:
        """Wait until a copy may be added, and return how many may.

        Raises:
            ServiceError: The line can't be followed any more.
        """
        while len(self._waiting) >= self._most:
            if self._following is not None and self._following.done():
                self._following.result()
            self._moved.clear()
            try:
                async with asyncio.timeout(STALLED_SECONDS):
                    await self._moved.wait()
            except TimeoutError:
                self._on_stalled()
        return self._most - len(self._waiting)

    async def _follow(self) -> None:
        events = follow(self._settings, from_offset=self._follow_from)
        async with aclosing(events):
            async for followed in events:
                if followed.event.state in TERMINAL_STATES:
                    self.settled(followed.event.source.offset)
