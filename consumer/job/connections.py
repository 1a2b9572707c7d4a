"""Open connections to HTTP receivers: HTTP/1.1 by h11 over asyncio's streams.

httpx parses URLs and finds the certificates. Its client isn't
used: it would keep cookies of one customer's endpoint, read proxies from the environment (through
which the secret would go) and follow redirects if set so; and of a small post's processor time
its pool and layers are five sixths (docs/adr/0015-posts-by-h11.md).
"""

import asyncio
import contextlib
import ssl
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import h11
import httpx

Origin = tuple[str, str, int]
"""Scheme, host and port, in the one spelling that `origin` gives."""

MAX_REPLY = 64 * 1024
_DEFAULT_PORTS = {"http": 80, "https": 443}

# Below the 5 s after which uvicorn and Node close an idle connection: a connection that is closed
# just while we post on it looks like a broken one.
_IDLE_SECONDS = 4.0
_NEXT_ADDRESS_SECONDS = 0.25  # of a host with several, as RFC 8305 has it
_READ_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver answered; `body` is None when it is longer than `MAX_REPLY`."""

    status: int
    retry_after: str | None
    body: bytes | None


class Connections:
    """Posts over connections that are kept open: as many as there are posts at once."""

    def __init__(self, *, timeout: float) -> None:
        """`timeout` bounds a whole post, from connecting to the last byte of the answer."""
        self._timeout = timeout
        self._idle: dict[Origin, list[_Connection]] = defaultdict(list)
        self._ssl: ssl.SSLContext | None = None

    async def __aenter__(self) -> Self:
        # Reads the certificates: SSL_CERT_FILE and SSL_CERT_DIR, else those of certifi.
        self._ssl = await asyncio.to_thread(httpx.create_ssl_context)
        return self

    async def __aexit__(self, *_: object) -> None:
        for connections in self._idle.values():
            for connection in connections:
                connection.close()
        self._idle.clear()

    async def post(self, url: str, headers: Mapping[str, str | bytes], body: bytes) -> Answer:
        """Post once and return the answer, whatever it is.

        Raises:
            TimeoutError: there was no whole answer in time.
            ConnectionError: there was none at all; the message has the reason.
        """
        where = origin(url)
        connection = self._idle_one(where)
        try:
            async with asyncio.timeout(self._timeout):
                connection = connection or await self._open(where)
                answer = await connection.exchange(_request(url, headers, body), body)
        except BaseException as error:
            if connection is not None:
                connection.close()
            if isinstance(error, OSError | h11.RemoteProtocolError):
                if isinstance(error, TimeoutError):
                    raise
                raise ConnectionError(str(error) or type(error).__name__) from error
            raise
        if connection.reusable:
            self._idle[where].append(connection)
        else:
            connection.close()
        return answer

    def _idle_one(self, where: Origin) -> "_Connection | None":
        """Give the connection that was used last; close those that have been idle for too long."""
        idle = self._idle[where]
        while idle:
            connection = idle.pop()
            if connection.reusable:
                return connection
            connection.close()
        return None

    async def _open(self, where: Origin) -> "_Connection":
        scheme, host, port = where
        tls = self._ssl if scheme == "https" else None
        reader, writer = await asyncio.open_connection(
            host.strip("[]"), port, ssl=tls, happy_eyeballs_delay=_NEXT_ADDRESS_SECONDS
        )
        return _Connection(reader, writer)


class _Connection:
    """One open connection, with one post at a time under way."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._protocol = h11.Connection(h11.CLIENT)
        self._idle_since = 0.0

    @property
    def reusable(self) -> bool:
        """Whether another post may go over it: both sides are done, and the other hasn't closed."""
        fresh = time.monotonic() - self._idle_since < _IDLE_SECONDS
        return fresh and self._protocol.our_state is h11.IDLE and not self._reader.at_eof()

    async def exchange(self, request: h11.Request, body: bytes) -> Answer:
        """Send the request and read the answer; of one that is too long, only its beginning."""
        head = self._protocol.send(request) or b""
        self._writer.write(head + (self._protocol.send(h11.Data(data=body)) or b""))
        self._protocol.send(h11.EndOfMessage())
        with contextlib.suppress(ConnectionError):
            # A receiver may answer and close before it has read all; its answer counts.
            await self._writer.drain()
        response = await self._next_event()
        while isinstance(response, h11.InformationalResponse):
            response = await self._next_event()
        assert isinstance(response, h11.Response)  # noqa: S101 - h11 lets nothing else come here
        content = await self._content()
        if content is not None:
            self._end()
        retry_after = next((v for name, v in response.headers if name == b"retry-after"), None)
        asked = None if retry_after is None else retry_after.decode("latin-1")
        return Answer(response.status_code, asked, content)

    async def _content(self) -> bytes | None:
        chunks: list[bytes] = []
        size = 0
        while isinstance(event := await self._next_event(), h11.Data):
            chunks.append(bytes(event.data))
            size += len(event.data)
            if size > MAX_REPLY:
                return None
        return b"".join(chunks)

    async def _next_event(self) -> object:
        while (event := self._protocol.next_event()) is h11.NEED_DATA:
            self._protocol.receive_data(await self._reader.read(_READ_BYTES))
        if isinstance(event, h11.ConnectionClosed):
            raise h11.RemoteProtocolError("the connection was closed without an answer")
        return event

    def _end(self) -> None:
        """Make ready for the next post, unless the receiver wants to close."""
        states = (self._protocol.our_state, self._protocol.their_state)
        if states == (h11.DONE, h11.DONE):
            self._protocol.start_next_cycle()
            self._idle_since = time.monotonic()

    def close(self) -> None:
        """Close without waiting for the other side."""
        self._writer.close()


@lru_cache(maxsize=256)
def origin(url: str) -> Origin:
    """Scheme, host and port of a URL, as the connection will be made: one parser, no tricks.

    Raises:
        ValueError: it isn't an http or https URL with a host, or it has a user or password.
    """
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ValueError(str(error)) from None
    if parsed.scheme not in _DEFAULT_PORTS or not parsed.host:
        raise ValueError("not an absolute http or https URL")
    if parsed.userinfo:
        raise ValueError("a URL with a user or password")
    host = parsed.raw_host.decode("ascii").lower()
    return parsed.scheme, host, parsed.port or _DEFAULT_PORTS[parsed.scheme]


@lru_cache(maxsize=256)
def _target(url: str) -> tuple[bytes, bytes]:
    """The path and query of a URL, and its Host header."""
    parsed = httpx.URL(url)
    return parsed.raw_path, parsed.netloc


def _request(url: str, headers: Mapping[str, str | bytes], body: bytes) -> h11.Request:
    target, host = _target(url)
    fields = [(b"host", host), (b"content-length", str(len(body)).encode())]
    for name, value in headers.items():
        fields.append((name.encode(), value if isinstance(value, bytes) else value.encode()))
    return h11.Request(method="POST", target=target, headers=fields)
