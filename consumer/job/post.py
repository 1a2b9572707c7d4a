"""One POST to a receiver: a form with files, and a limited response."""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import httpx

from http_client.async_transport import AsyncTransport
from http_client.response_buffer import MAX_HEAD, ResponseTooLong
from schemas.callback import FILE_TYPE, file_name

MAX_RESPONSE = 256 * 1024
"""Limit in bytes of a whole response as it arrives, and of its decompressed body."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver answered."""

    status: int
    retry_after: str | None
    body: bytes
    fault: str | None = None
    """Why the body couldn't be read; it is then empty."""


class Poster:
    """Posts over connections that are kept open. It uses no proxy and follows no redirect."""

    def __init__(self, *, ca_file: Path | None) -> None:
        """`ca_file`: PEM of those who may certify a receiver; None takes the system's."""
        self._ca_file = ca_file
        self._transport: AsyncTransport | None = None

    async def __aenter__(self) -> Self:
        # The system's: OpenSSL's own places, or SSL_CERT_FILE and SSL_CERT_DIR.
        tls = await asyncio.to_thread(ssl.create_default_context, cafile=self._ca_file)
        self._transport = AsyncTransport(tls=tls, max_response=MAX_RESPONSE)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._transport is not None:
            await self._transport.aclose()

    async def post(self, request: httpx.Request, *, seconds: float) -> Answer:
        """Post once and return the answer, whatever it is.

        `seconds` bounds all of it, from connecting to the last byte of the answer.

        Raises:
            TimeoutError: there was no whole answer in time.
            ConnectionError: there was none at all; the message has the reason.
        """
        assert self._transport is not None, "it is open"  # noqa: S101 - tells mypy
        try:
            async with asyncio.timeout(seconds):
                response = await self._transport.handle_async_request(request)
                try:
                    return await _read(response)
                finally:
                    await response.aclose()
        except ResponseTooLong:
            raise ConnectionError(f"its answer's head has more than {MAX_HEAD} bytes") from None
        except httpx.TransportError as error:
            raise ConnectionError(str(error) or type(error).__name__) from error


def make_request(
    url: str, *, headers: Mapping[str, str], fields: Mapping[str, str], files: Mapping[str, bytes]
) -> httpx.Request:
    """Make a POST of a form, to be sent as often as it takes. `files` are PNGs by output name."""
    request = httpx.Request(
        "POST",
        url,
        headers={name.encode(): value.encode() for name, value in headers.items()},
        data=fields,
        files={name: (file_name(name), png, FILE_TYPE) for name, png in files.items()},
    )
    request.read()  # the form as one piece of bytes: what is sent again is the same
    return request


async def _read(response: httpx.Response) -> Answer:
    """Read the body, unpacked where the receiver packs though nobody asked it to."""
    body, fault = bytearray(), None
    try:
        async for piece in response.aiter_bytes():
            body += piece
            if len(body) > MAX_RESPONSE:
                raise ResponseTooLong
    except ResponseTooLong:
        fault = f"it has more than {MAX_RESPONSE} bytes"
    except httpx.DecodingError as error:
        fault = f"it can't be unpacked: {error}"
    return Answer(
        response.status_code,
        response.headers.get("retry-after"),
        b"" if fault else bytes(body),
        fault,
    )
