"""One reader of the status topic feeds all event streams."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import NoReturn

import structlog

from consumer.errors import StartError
from consumer.settings import KafkaSettings
from producer_tools.client.following import Followed, between, bounds, follow
from producer_tools.client.renewal import Renewal
from producer_tools.errors import ServiceError
from producer_tools.gateway.refusal import unavailable
from schemas.status import TERMINAL_STATES

log = structlog.get_logger()

KEPT = 2000
"""So many events are in memory, for streams that go on after a break."""
MOST_WAITING = 1000
"""A stream for which so many events wait isn't read, and is dropped."""
MOST_STREAMS = 500
MOST_HISTORIES = 4
"""So many streams at once read events that aren't in memory any more."""
_AGAIN_SECONDS = 1.0
_HISTORY_SECONDS = 600.0
_AT_SECONDS = 8.0


@dataclass(frozen=True, slots=True)
class Message:
    """An event as streams send it."""

    offset: int
    source: int
    """The offset of its job's record."""
    terminal: bool
    frame: bytes

    @classmethod
    def of(cls, followed: Followed) -> "Message":
        """Write an event as a frame of a stream."""
        event = followed.event
        data = event.write().decode()
        frame = f"id: {followed.offset}\nevent: {event.state}\ndata: {data}\n\n"
        terminal = event.state in TERMINAL_STATES
        return cls(followed.offset, event.source.offset, terminal, frame.encode())


class Stream:
    """The events that wait for one stream."""

    def __init__(self, wanted: Callable[[Message], bool]) -> None:
        self._wanted = wanted
        self._waiting: deque[Message] = deque()
        self._changed = asyncio.Event()
        self.ended = False

    def offer(self, message: Message) -> None:
        """Take an event. End if nobody has taken the earlier ones."""
        if self.ended or not self._wanted(message):
            return
        if len(self._waiting) >= MOST_WAITING:
            self.end()
            self._waiting.clear()
            return
        self._waiting.append(message)
        self._changed.set()

    def end(self) -> None:
        """Let the stream end."""
        self.ended = True
        self._changed.set()

    async def next(self, seconds: float) -> list[Message]:
        """Return the events that wait, or none after so many seconds or at the end."""
        if not self._waiting and not self.ended:
            self._changed.clear()
            try:
                async with asyncio.timeout(seconds):
                    await self._changed.wait()
            except TimeoutError:
                return []
        waiting, self._waiting = list(self._waiting), deque()
        return waiting


class Hub:
    """The latest events, and the streams."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._kept: deque[Message] = deque(maxlen=KEPT)
        self._streams: set[Stream] = set()
        self._next: int | None = None
        self._kept_from: int | None = None
        self._histories = asyncio.Semaphore(MOST_HISTORIES)
        self._renewal = Renewal()
        self._closed = False

    async def run(self) -> NoReturn:
        """Follow the status topic, whatever happens, until this is cancelled."""
        while True:
            try:
                async with self._renewal.ends():
                    await self._follow()
            except (ServiceError, StartError) as error:
                log.warning("events.behind", reason=str(error))
            await asyncio.sleep(_AGAIN_SECONDS)

    def renew(self, settings: KafkaSettings) -> None:
        """Reach Kafka by these settings from now on; no stream misses an event."""
        self._settings = settings
        self._renewal.announce()

    def close(self) -> None:
        """End all streams; none begins any more."""
        self._closed = True
        for stream in self._streams:
            stream.end()

    @property
    def kept_from(self) -> int | None:
        """All events from this offset on are in memory. None: none was read yet."""
        return self._kept_from

    @property
    def streams(self) -> int:
        """How many streams there are."""
        return len(self._streams)

    def check(self) -> None:
        """Return if there is room for one more stream.

        Raises:
            Refused: There isn't.
        """
        if self._closed or len(self._streams) >= MOST_STREAMS:
            raise unavailable("There are too many event streams. Please try again later.")

    @contextmanager
    def stream(self, wanted: Callable[[Message], bool] = lambda _message: True) -> Iterator[Stream]:
        """Give the events from now on while the block lasts."""
        stream = Stream(wanted)
        if self._closed:
            stream.end()
        self._streams.add(stream)
        try:
            yield stream
        finally:
            self._streams.discard(stream)

    def kept_after(self, offset: int) -> list[Message] | None:
        """Return the events after an offset. None: some of them aren't in memory."""
        if self._kept_from is None or offset + 1 < self._kept_from:
            return None
        return [message for message in self._kept if message.offset > offset]

    def kept_of(self, source: int) -> list[Message]:
        """Return the events of a record that are in memory."""
        return [message for message in self._kept if message.source == source]

    async def first_offset(self) -> int:
        """Return the first offset that the status topic has.

        Raises:
            ServiceError: Kafka doesn't answer.
        """
        return (await bounds(self._settings)).start

    async def history(self, after: int) -> AsyncGenerator[Message, None]:
        """Give the events after an offset, up to those that are in memory.

        Raises:
            ServiceError: Kafka doesn't answer, or there are too many such streams.
        """
        try:
            async with asyncio.timeout(_AGAIN_SECONDS):
                await self._histories.acquire()
        except TimeoutError:
            raise ServiceError("too many streams read old events") from None
        try:
            async with asyncio.timeout(_HISTORY_SECONDS):
                while self.kept_after(after) is None:
                    if self._kept_from is None:
                        raise ServiceError("the status topic isn't read yet")
                    end = self._kept_from
                    events = between(self._settings, after + 1, end)
                    async with aclosing(events):
                        async for followed in events:
                            yield Message.of(followed)
                    after = end - 1
        finally:
            self._histories.release()

    async def at(self, offset: int) -> Message | None:
        """Return the event at an offset. None: it is gone.

        Raises:
            ServiceError: Kafka doesn't answer.
        """
        for message in self._kept:
            if message.offset == offset:
                return message
        events = between(self._settings, offset, offset + 1)
        async with aclosing(events), asyncio.timeout(_AT_SECONDS):
            async for followed in events:
                return Message.of(followed)
        return None

    async def _follow(self) -> None:
        there = await bounds(self._settings)
        if self._next is None or not there.start <= self._next <= there.stop:
            self._kept.clear()
            self._next = self._kept_from = there.stop
        events = follow(self._settings, from_offset=self._next)
        async with aclosing(events):
            async for followed in events:
                self._publish(Message.of(followed))

    def _publish(self, message: Message) -> None:
        if len(self._kept) == KEPT:
            self._kept_from = self._kept[0].offset + 1
        self._kept.append(message)
        self._next = message.offset + 1
        for stream in list(self._streams):
            stream.offer(message)
