"""Connections that are replaced before their session ends (KIP-368).

A broker with `connections.max.reauth.ms`, or one that heeds when a token expires, tells at the
login how long the session lasts, and cuts the connection at the first request after that. aiokafka
doesn't log in again on a connection, so each cut broke off whatever was under way on it.
"""

import asyncio
from collections.abc import Awaitable
from typing import Any

from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.protocol.admin import SaslAuthenticateRequest

SHARE = 0.8
"""Of a session, after which its connection is closed as soon as no request is under way."""


class SessionConnection(AIOKafkaConnection):  # type: ignore[misc]  # aiokafka has no types
    """aiokafka's connection; it closes itself between two requests, and aiokafka makes another."""

    _ending: asyncio.TimerHandle | None = None
    _over = False

    def send(self, request: Any, expect_response: bool = True) -> Awaitable[Any]:
        """Send a request; of a login, note how long the session lasts."""
        answer: Awaitable[Any] = super().send(request, expect_response)
        return (
            self._note_session(answer) if isinstance(request, SaslAuthenticateRequest) else answer
        )

    def close(self, reason: CloseReason | None = None, exc: BaseException | None = None) -> Any:
        """Close at once."""
        if self._ending is not None:
            self._ending.cancel()
        return super().close(reason, exc)

    async def _note_session(self, answer: Awaitable[Any]) -> Any:
        response = await answer
        lifetime = getattr(response, "session_lifetime_ms", 0) / 1000  # 0: without an end
        if lifetime > 0:
            self._ending = self._loop.call_later(SHARE * lifetime, self._end_session)
        return response

    def _end_session(self) -> None:
        self._over = True
        self._close_between_requests()

    def _handle_frame(self, frame: bytes) -> None:
        super()._handle_frame(frame)
        if self._over:
            self._close_between_requests()

    def _close_between_requests(self) -> None:
        if not self._requests:
            self.close(CloseReason.IDLE_DROP)
