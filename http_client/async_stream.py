"""One connection on an event loop: what httpcore reads from and writes to."""

import asyncio
import select
import socket
import ssl
from typing import Any

import httpcore

from http_client.response_buffer import ResponseBuffer

_NEXT_ADDRESS_SECONDS = 2.0  # then the host's next address is tried, if there is one
_SENT_AT_ONCE = 64 * 1024
_READ_AT_ONCE = 1024  # 170 chunks of one byte, which the parser handles without a pause
_UNREAD = 64 * 1024


class AsyncStream(asyncio.Protocol, httpcore.AsyncNetworkStream):
    """Reads while it still writes: a server may refuse a request before all of it was sent."""

    _transport: asyncio.Transport

    def __init__(self, received: ResponseBuffer) -> None:
        self.received = received
        self._news = asyncio.Event()
        self._may_write = True
        self._may_read = True
        self._ended = False
        self._fault: Exception | None = None

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Make each write wait until the bytes before it have been sent."""
        self._transport = transport  # type: ignore[assignment]
        # Not 0: asyncio's TLS then pauses with an empty buffer, and never resumes.
        self._transport.set_write_buffer_limits(high=1, low=0)

    def data_received(self, data: bytes) -> None:
        """Keep received bytes, up to a limit."""
        self.received.feed(data)
        if len(self.received) > _UNREAD and self._may_read:
            self._may_read = False
            self._transport.pause_reading()
        self._news.set()

    def eof_received(self) -> None:
        """Note that the server sends nothing more. asyncio then closes the connection."""
        self._ended = True
        self._news.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the connection is closed, and why."""
        self._ended = True
        self._fault = exc
        self._news.set()

    def pause_writing(self) -> None:
        """Note that written bytes wait to be sent."""
        self._may_write = False

    def resume_writing(self) -> None:
        """Note that all written bytes have been sent."""
        self._may_write = True
        self._news.set()

    # What httpcore calls. The caller limits the time of a whole exchange, not of each step.

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send, unless a response is here already or the server has closed the connection."""
        rest = memoryview(buffer)
        while rest:
            await self._let_read()
            if self._is_useless():
                raise httpcore.WriteError(
                    "the request was cut short"
                )  # httpcore reads the response
            self._transport.write(rest[:_SENT_AT_ONCE])
            rest = rest[_SENT_AT_ONCE:]
            while not (self._may_write or self._is_useless()):
                await self._wait()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return the next bytes of the response, or nothing once the server has closed."""
        if self.received:
            await asyncio.sleep(0)  # a server that never stops sending must not keep the loop busy
        while not (self.received or self._ended):
            await self._wait()
        if not self.received and self._fault is not None:
            raise httpcore.ReadError(str(self._fault) or type(self._fault).__name__)
        piece = self.received.take(min(max_bytes, _READ_AT_ONCE))
        if len(self.received) <= _UNREAD and not (self._may_read or self._ended):
            self._may_read = True
            self._transport.resume_reading()
        return piece

    async def aclose(self) -> None:
        """Close without waiting for the server."""
        self.abort()

    def get_extra_info(self, info: str) -> Any:
        """Return what asyncio's transport knows by that name, or None."""
        return self._transport.get_extra_info(info)

    # What its owner calls.

    def abort(self) -> None:
        """Close at once and drop the bytes that wait to be sent. May be called twice."""
        self._transport.abort()

    def is_quiet(self) -> bool:
        """Whether another exchange may begin: the connection is open, and nothing came unasked."""
        return not (self.received or self._ended or self._transport.is_closing())

    async def _let_read(self) -> None:
        """Let the loop read what has arrived. A reset behind a response would destroy it."""
        poll = select.poll()
        poll.register(self._transport.get_extra_info("socket"), select.POLLIN)
        while self._may_read and not self._is_useless() and poll.poll(0):  # noqa: ASYNC110
            await asyncio.sleep(0)

    def _is_useless(self) -> bool:
        """Whether nothing more need be sent."""
        return self._ended or self._transport.is_closing() or self.received.has_final_status()

    async def _wait(self) -> None:
        self._news.clear()
        await self._news.wait()


async def connect(
    host: str, port: int, *, tls: ssl.SSLContext | None, max_response: int
) -> AsyncStream:
    """Connect to the first address of the host that accepts.

    Raises:
        OSError: None accepts, or the certificate isn't valid.
    """
    sock = await _connected(host, port)
    _, stream = await asyncio.get_running_loop().create_connection(
        lambda: AsyncStream(ResponseBuffer(max_response=max_response)),
        sock=sock,
        ssl=tls,
        server_hostname=host if tls else None,
    )
    return stream


async def _connected(host: str, port: int) -> socket.socket:
    # asyncio's own race between addresses leaks sockets when it is cancelled.
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError(f"{host!r} is no name that DNS knows: {error}") from error
    fault: OSError = OSError(f"{host!r} has no address")
    for number, (family, kind, protocol, _, address) in enumerate(found, 1):
        sock = socket.socket(family, kind, protocol)
        sock.setblocking(False)
        try:
            async with asyncio.timeout(_NEXT_ADDRESS_SECONDS if number < len(found) else None):
                await loop.sock_connect(sock, address)
        except OSError as error:
            sock.close()
            fault = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise fault
