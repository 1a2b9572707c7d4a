"""uvicorn's connections, with bounds that it lacks: their number, heads and answers that stall."""

import asyncio
import resource
from typing import Any, cast

from uvicorn.protocols.http.h11_impl import H11Protocol

MOST = 1000
STALL_SECONDS = 10.0
IDLE_SECONDS = 60
_JOINED_BYTES = 64 * 1024
_OTHER_FILES = 200
"""Descriptors that connections leave to all else."""


class JoinedWrites:
    """A transport that sends in one piece what is written at one moment: a head and its body.

    A piece costs a call of the system, and wakes the caller.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._waiting = bytearray()

    def write(self, data: bytes) -> None:
        """Send it before the loop turns to anything else that comes later."""
        if len(self._waiting) + len(data) > _JOINED_BYTES:
            self._flush()
            self._transport.write(data)
            return
        if data and not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting += data

    def close(self) -> None:
        """Send what waits, and close."""
        self._flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def _flush(self) -> None:
        if self._waiting:
            data, self._waiting = self._waiting, bytearray()
            self._transport.write(data)


class BoundedConnection(H11Protocol):
    """A connection that ends if its caller does nothing, or if there are too many."""

    most = MOST
    _timer: asyncio.TimerHandle | None = None
    _writing: asyncio.TimerHandle | None = None
    _heard_at = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a head; make room if there is none."""
        super().connection_made(cast("asyncio.Transport", JoinedWrites(transport, self.loop)))
        self._heard_at = self.loop.time()
        self._expect_head()
        if len(self.connections) > self.most:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what was waited for."""
        self._forget_head()
        self._forget_write()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read; between two requests, begin to wait for the rest of a head."""
        self._heard_at = self.loop.time()
        super().data_received(data)
        if self._is_busy:
            self._forget_head()
        elif self._timer is None and not self.transport.is_closing():
            self._expect_head()

    def pause_writing(self) -> None:
        """Begin to wait for a caller that doesn't read."""
        super().pause_writing()
        if self._writing is None:
            self._writing = self.loop.call_later(STALL_SECONDS, self._cut)

    def resume_writing(self) -> None:
        """Go on: the caller reads."""
        self._forget_write()
        super().resume_writing()

    @property
    def _is_busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _expect_head(self) -> None:
        self._timer = self.loop.call_later(STALL_SECONDS, self._cut)

    def _forget_head(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _forget_write(self) -> None:
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None

    def _make_room(self) -> None:
        """Close the connection that has been idle for longest, or else this one."""
        idle = [
            one
            for one in self.connections
            if isinstance(one, BoundedConnection) and not one._is_busy
        ]
        min(idle, key=lambda one: one._heard_at, default=self)._cut()

    def _cut(self) -> None:
        self.connections.discard(self)
        self.transport.abort()


def most_connections() -> int:
    """Return how many connections there may be: fewer where the descriptor limit says so."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * MOST + _OTHER_FILES  # each may have a spooled file, too
    if soft < wanted and (hard == resource.RLIM_INFINITY or hard > soft):
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(10, min(MOST, (soft - _OTHER_FILES) // 2))


def options() -> dict[str, Any]:
    """Give the arguments of `uvicorn.Config` that bound its connections."""
    bounded = type("Connection", (BoundedConnection,), {"most": most_connections()})
    return {"http": bounded, "backlog": MOST, "timeout_keep_alive": IDLE_SECONDS}
