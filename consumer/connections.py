"""Open connections to HTTP receivers: the only door to httpx and to httpcore beneath it.

It speaks to httpcore's connections and not to httpx's client. The client would keep cookies of one
customer's endpoint, read proxies from the environment (through which the secret would go) and
follow redirects if told to; and it costs several times the time.
"""

import asyncio
import ssl
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import TracebackType
from typing import Final, Self

import httpcore
import httpx

Origin = tuple[str, str, int]
"""Scheme, host and port, in the one spelling that `origin` gives."""

MAX_REPLY: Final = 64 * 1024
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}

# Below the 5 s after which uvicorn and Node close an idle connection: a connection that is closed
# just while we post on it looks like a broken one.
_IDLE_SECONDS: Final = 4.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver answered; `body` is None when it is longer than `MAX_REPLY`."""

    status: int
    retry_after: str | None
    body: bytes | None


class Connections:
    """Posts over connections that are kept open.

    Without httpcore's own pool, which looks at every connection, with a system call for each idle
    one, several times a request: with 16 posts at once that is two thirds of a post's cost.
    """

    def __init__(self, *, timeout: float) -> None:
        """`timeout` bounds a whole post, from connecting to the last byte of the answer."""
        self._timeout = timeout
        self._idle: dict[Origin, list[httpcore.AsyncHTTPConnection]] = defaultdict(list)
        self._ssl: ssl.SSLContext | None = None

    async def __aenter__(self) -> Self:
        # Reads the certificates: SSL_CERT_FILE and SSL_CERT_DIR, else those of certifi.
        self._ssl = await asyncio.to_thread(httpx.create_ssl_context)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for connections in self._idle.values():
            for connection in connections:
                await connection.aclose()
        self._idle.clear()

    async def post(self, url: str, headers: Mapping[str, str | bytes], body: bytes) -> Answer:
        """Post once and return the answer, whatever it is.

        Raises:
            TimeoutError: there was no whole answer in time.
            ConnectionError: there was none at all; the text says why.
        """
        request = _request(url, headers, body)
        where = origin(url)
        connection = await self._idle_one(where) or self._new(request.url.origin)
        try:
            async with asyncio.timeout(self._timeout):
                answer = await _exchange(connection, request)
        except BaseException as error:
            await connection.aclose()
            if isinstance(error, httpcore.NetworkError | httpcore.RemoteProtocolError):
                raise ConnectionError(str(error) or type(error).__name__) from error
            raise
        if connection.is_idle():
            self._idle[where].append(connection)
        return answer

    async def _idle_one(self, where: Origin) -> httpcore.AsyncHTTPConnection | None:
        """Give the connection that was used last; close those that the receiver has let go."""
        idle = self._idle[where]
        while idle:
            connection = idle.pop()
            if not connection.has_expired():
                return connection
            await connection.aclose()
        return None

    def _new(self, where: httpcore.Origin) -> httpcore.AsyncHTTPConnection:
        assert self._ssl is not None, "used outside `async with`"  # noqa: S101
        return httpcore.AsyncHTTPConnection(
            where, ssl_context=self._ssl, keepalive_expiry=_IDLE_SECONDS
        )


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
def _target(url: str) -> tuple[httpcore.URL, bytes]:
    """What a request says of its URL, and its Host header."""
    parsed = httpx.URL(url)
    where = httpcore.URL(
        scheme=parsed.raw_scheme, host=parsed.raw_host, port=parsed.port, target=parsed.raw_path
    )
    return where, parsed.netloc


def _request(url: str, headers: Mapping[str, str | bytes], body: bytes) -> httpcore.Request:
    where, host = _target(url)
    fields = [
        (name.encode(), value if isinstance(value, bytes) else value.encode())
        for name, value in headers.items()
    ]
    length = str(len(body)).encode()
    return httpcore.Request(
        b"POST",
        where,
        headers=[(b"host", host), (b"content-length", length), *fields],
        content=body,
    )


async def _exchange(connection: httpcore.AsyncHTTPConnection, request: httpcore.Request) -> Answer:
    response = await connection.handle_async_request(request)
    chunks: list[bytes] = []
    size = 0
    try:
        async for chunk in response.aiter_stream():
            chunks.append(chunk)
            size += len(chunk)
            if size > MAX_REPLY:
                break
    finally:
        await response.aclose()
    body = b"".join(chunks) if size <= MAX_REPLY else None
    retry_after = next((v for name, v in response.headers if name.lower() == b"retry-after"), None)
    return Answer(response.status, retry_after.decode("latin-1") if retry_after else None, body)
