"""A connection of the health port: one request, within seconds, and only so many at once.

uvicorn bounds how long a connection may be idle between requests. It has no bound for half a
request, for an answer that nobody reads, or for the number of connections. Each of them is a file
of the process, and a line that can open no more files stands still.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

LIFE_SECONDS = 10.0
"""From being accepted to the end of the answer: an answer takes milliseconds."""
MOST = 64
"""One more, and the oldest is closed: that of a probe is never the oldest for long."""
CLOSE = ("connection", "close")
"""Header of every answer: each connection is for one request."""


class BriefConnection(H11Protocol):
    """uvicorn's, with an end."""

    accepted_at = 0.0
    _end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Set the end; make room if there is none."""
        super().connection_made(transport)
        self.accepted_at = self.loop.time()
        self._end = self.loop.call_later(LIFE_SECONDS, transport.abort)
        brief = [one for one in self.connections if isinstance(one, BriefConnection)]
        if len(brief) > MOST:
            min(brief, key=lambda one: one.accepted_at).cut()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the end."""
        if self._end is not None:
            self._end.cancel()
        super().connection_lost(exc)

    def cut(self) -> None:
        """Close it, whatever is under way; the next one needn't wait for that."""
        self.connections.discard(self)
        self.transport.abort()


def options() -> dict[str, Any]:
    """Give the arguments of `uvicorn.Config` that make its connections brief ones."""
    return {"http": BriefConnection, "backlog": MOST, "headers": [CLOSE]}
