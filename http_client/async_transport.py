"""An httpx transport for an event loop, on httpcore's HTTP/1.1 connections."""

import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpcore
import httpx

from http_client.async_stream import AsyncStream, connect
from http_client.translation import FAULTS, to_httpcore, to_httpx

REST_SECONDS = 0.1
"""So long a connection rests between two requests. What a server sends unasked comes meanwhile: a
second answer to the last request would be taken for the answer to the next one.
"""
IDLE_SECONDS = 4.0
"""Below the 5 s after which uvicorn and Node close an idle connection: one that is closed just
while we ask on it looks broken.
"""


@dataclass(slots=True, eq=False)
class _Connection:
    origin: httpcore.Origin
    http: httpcore.AsyncHTTP11Connection
    stream: AsyncStream
    idle_since: float = 0.0

    def is_good(self) -> bool:
        """Whether another request may go over it."""
        return self.http.is_idle() and self.stream.is_quiet()

    def has_more_than_asked_for(self) -> bool:
        """Whether the server has sent something behind its whole response."""
        return self.http.is_idle() and bool(self.stream.received)


class AsyncTransport(httpx.AsyncBaseTransport):
    """Sends requests over connections that it keeps open, one for each request at a time.

    It closes a connection after anything but one whole response to one whole request, and when the
    caller's task is cancelled. (httpcore's pool leaks connections that are cancelled while they
    open.) It keeps none to a server that has ever sent more than it was asked for. It has no
    proxies, no redirects and no cookies.
    """

    def __init__(self, *, tls: ssl.SSLContext, max_response: int) -> None:
        """`max_response` is the limit of a whole response, framing included, in bytes."""
        self._tls = tls
        self._max_response = max_response
        self._idle: list[_Connection] = []
        self._talkative: set[str] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request and return its response, with the body still to be read.

        The caller limits the time, and closes the response.

        Raises:
            httpx.TransportError: There was no response. The message gives the reason.
            ResponseTooLong: The head is too long. Reading the body raises it, too.
        """
        asked = to_httpcore(request)
        origin = asked.url.origin
        connection = self._take_idle(origin) or await self._open(origin)
        connection.stream.received.begin()
        try:
            response = await connection.http.handle_async_request(asked)
        except BaseException as error:
            connection.stream.abort()
            if isinstance(error, FAULTS):
                raise to_httpx(error) from error
            raise
        body = _Body(response, connection, transport=self)
        result = httpx.Response(response.status, headers=response.headers, stream=body)
        connection.stream.received.expect_body(result.headers)
        return result

    async def aclose(self) -> None:
        """Close the idle connections."""
        for connection in self._idle:
            connection.stream.abort()
        self._idle.clear()

    def take_back(self, connection: _Connection) -> None:
        """Keep a connection whose exchange is over, or close it if it can't be used again."""
        if connection.is_good() and str(connection.origin) not in self._talkative:
            connection.idle_since = time.monotonic()
            self._idle.append(connection)
        else:
            self._close(connection)

    def _take_idle(self, origin: httpcore.Origin) -> _Connection | None:
        """Return the rested connection that was used last. Close those idle for too long."""
        now = time.monotonic()
        kept = []
        for connection in self._idle:
            if connection.idle_since > now - IDLE_SECONDS and connection.is_good():
                kept.append(connection)
            else:
                self._close(connection)
        self._idle = kept
        if str(origin) in self._talkative:
            return None
        for connection in reversed(kept):
            if connection.origin == origin and connection.idle_since <= now - REST_SECONDS:
                kept.remove(connection)
                return connection
        return None

    def _close(self, connection: _Connection) -> None:
        if connection.has_more_than_asked_for():
            self._talkative.add(str(connection.origin))
        connection.stream.abort()

    async def _open(self, origin: httpcore.Origin) -> _Connection:
        try:
            stream = await connect(
                origin.host.decode("ascii").strip("[]"),
                origin.port,
                tls=self._tls if origin.scheme == b"https" else None,
                max_response=self._max_response,
            )
        except OSError as error:
            raise to_httpx(error) from error
        if stream.received:
            stream.abort()
            raise httpx.TransportError("it answered before it was asked")
        return _Connection(origin, httpcore.AsyncHTTP11Connection(origin, stream), stream)


class _Body(httpx.AsyncByteStream):
    """A response's body. Closing it gives its connection back, whether it was read or not."""

    def __init__(
        self, response: httpcore.Response, connection: _Connection, *, transport: AsyncTransport
    ) -> None:
        self._response = response
        self._connection = connection
        self._transport = transport

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._response.aiter_stream():
                yield piece
        except FAULTS as error:
            raise to_httpx(error) from error

    async def aclose(self) -> None:
        try:
            await self._response.aclose()
        finally:
            self._transport.take_back(self._connection)
