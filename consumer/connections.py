"""Open connections to HTTP receivers: the only door to httpx."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Self

import httpx

Origin = tuple[str, str, int]
"""Scheme, host and port, in the one spelling that `origin` gives."""

MAX_REPLY: Final = 64 * 1024
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}

# Below the 5 s after which uvicorn and Node close an idle connection: a connection that is closed
# just while we post on it looks like a broken one.
_IDLE_SECONDS: Final = 4.0
_LIMITS: Final = httpx.Limits(
    max_connections=None, max_keepalive_connections=64, keepalive_expiry=_IDLE_SECONDS
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver answered; `body` is None when it is longer than `MAX_REPLY`."""

    status: int
    retry_after: str | None
    body: bytes | None


class Connections:
    """Posts over connections that are kept open: as many as there are posts at once.

    By httpx's transport without its client, which would keep one receiver's cookies for the next,
    read proxies from the environment, through which the secret would go, and follow redirects.
    """

    def __init__(self, *, timeout: float) -> None:
        """`timeout` bounds a whole post, from connecting to the last byte of the answer."""
        self._timeout = timeout
        self._transport: httpx.AsyncHTTPTransport | None = None

    async def __aenter__(self) -> Self:
        # In a thread: it reads the certificates, those of certifi.
        self._transport = await asyncio.to_thread(
            httpx.AsyncHTTPTransport, trust_env=False, limits=_LIMITS
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._transport is not None:
            await self._transport.aclose()

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Post once and return the answer, whatever it is.

        Raises:
            TimeoutError: there was no whole answer in time.
            ConnectionError: there was none at all; the text says why.
        """
        if self._transport is None:
            raise RuntimeError("used outside `async with`")
        fields = [(name.encode(), value.encode()) for name, value in headers.items()]
        try:
            async with asyncio.timeout(self._timeout):
                request = httpx.Request("POST", url, headers=fields, content=body)
                answer = await self._transport.handle_async_request(request)
                try:
                    content = await _content(answer)
                finally:
                    await answer.aclose()
        except httpx.HTTPError as error:
            raise ConnectionError(str(error) or type(error).__name__) from error
        return Answer(answer.status_code, answer.headers.get("retry-after"), content)


async def _content(answer: httpx.Response) -> bytes | None:
    """Read the reply; of one that is too long, only its beginning."""
    content = b""
    async for chunk in answer.aiter_raw():
        content += chunk
        if len(content) > MAX_REPLY:
            return None
    return content


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
