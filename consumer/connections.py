"""Open connections to HTTP receivers: the only door to httpx.

It speaks to httpx's transport and not to its client. The client would keep cookies of one
customer's endpoint, read proxies from the environment (through which the secret would go) and
follow redirects if told to; and it costs twice the time.
"""

import asyncio
import ssl
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import httpx

Origin = tuple[str, str, int]
"""Scheme, host and port, in the one spelling that `origin` gives."""

MAX_REPLY: Final = 64 * 1024
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}

# Below the 5 s after which uvicorn and Node close an idle connection: a connection that is closed
# just while we post on it looks like a broken one.
_LIMITS: Final = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=4)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver answered; `body` is None when it is longer than `MAX_REPLY`."""

    status: int
    retry_after: str | None
    body: bytes | None


class Connections:
    """Posts over connections that are kept open, one transport for each.

    httpx's own pool looks at every connection, with a system call for each idle one, several
    times a request: with 16 posts at once that is two thirds of a post's cost.
    """

    def __init__(self, *, timeout: float) -> None:
        """`timeout` bounds a whole post, from connecting to the last byte of the answer."""
        self._timeout = timeout
        self._idle: dict[Origin, list[httpx.AsyncHTTPTransport]] = defaultdict(list)
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
        for transports in self._idle.values():
            for transport in transports:
                await transport.aclose()
        self._idle.clear()

    async def post(self, url: str, headers: Mapping[str, str | bytes], body: bytes) -> Answer:
        """Post once and return the answer, whatever it is.

        Raises:
            TimeoutError: there was no whole answer in time.
            ConnectionError: there was none at all; the text says why.
        """
        request = httpx.Request("POST", url, headers=_encoded(headers), content=body)
        idle = self._idle[origin(url)]
        transport = idle.pop() if idle else self._transport()
        try:
            async with asyncio.timeout(self._timeout):
                answer = await _exchange(transport, request)
        except BaseException as error:
            await transport.aclose()
            if isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError):
                raise ConnectionError(str(error) or type(error).__name__) from error
            raise
        idle.append(transport)
        return answer

    def _transport(self) -> httpx.AsyncHTTPTransport:
        assert self._ssl is not None, "used outside `async with`"  # noqa: S101
        return httpx.AsyncHTTPTransport(verify=self._ssl, limits=_LIMITS)


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


def _encoded(headers: Mapping[str, str | bytes]) -> list[tuple[bytes, bytes]]:
    return [
        (name.encode(), value if isinstance(value, bytes) else value.encode())
        for name, value in headers.items()
    ]


async def _exchange(transport: httpx.AsyncHTTPTransport, request: httpx.Request) -> Answer:
    response = await transport.handle_async_request(request)
    chunks: list[bytes] = []
    size = 0
    try:
        async for chunk in response.aiter_raw():
            chunks.append(chunk)
            size += len(chunk)
            if size > MAX_REPLY:
                break
    finally:
        await response.aclose()
    body = b"".join(chunks) if size <= MAX_REPLY else None
    return Answer(response.status_code, response.headers.get("retry-after"), body)
