"""Connections that are replaced before their session ends (KIP-368).

A broker with `connections.max.reauth.ms`, or one that heeds when a token expires, tells at the
login how long the session lasts, and cuts the connection at the first request after that. aiokafka
doesn't log in again on a connection, so each cut broke off whatever was under way on it.
"""

import asyncio
from collections.abc import Awaitable
from typing import Any
from weakref import WeakSet

from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.protocol.admin import SaslAuthenticateRequest

_open: "WeakSet[SessionConnection]" = WeakSet()

SHARE = 0.8
"""Of a session, after which its connection is closed as soon as no request is under way."""


class SessionConnection(AIOKafkaConnection):  # type: ignore[misc]  # aiokafka has no types
    """aiokafka's connection; it closes itself between two requests, and aiokafka makes another."""

    _ending: asyncio.TimerHandle | None = None
    _over = False

    async def connect(self) -> Any:
        """Connect and log in."""
        streams = await super().connect()
        _open.add(self)
        return streams

    def send(self, request: Any, expect_response: bool = True) -> Awaitable[Any]:
        """Send a request; of a login, note how long the session lasts."""
        answer: Awaitable[Any] = super().send(request, expect_response)
        login = isinstance(request, SaslAuthenticateRequest)
        return self._note_session(answer) if login else answer

    def close(self, reason: CloseReason | None = None, exc: BaseException | None = None) -> Any:
        """Close at once."""
        if self._ending is not None:
            self._ending.cancel()
        return super().close(reason, exc)

    def end_session(self) -> None:
        """Close as soon as no request is under way."""
        self._over = True
        self._close_if_over()

    async def _note_session(self, answer: Awaitable[Any]) -> Any:
        response = await answer
        lifetime = getattr(response, "session_lifetime_ms", 0) / 1000  # 0: without an end
        if lifetime > 0:
            self._ending = self._loop.call_later(SHARE * lifetime, self.end_session)
        return response

    def _handle_frame(self, frame: bytes) -> None:
        super()._handle_frame(frame)
        self._close_if_over()

    def _close_if_over(self) -> None:
        if self._over and not self._requests:
            self.close(CloseReason.IDLE_DROP)


def end_sessions() -> None:
    """End the session of every connection that is logged in."""
    for connection in list(_open):
        connection.end_session()
