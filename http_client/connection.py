"""One blocking connection to a server, for threads: an httpx transport on httpcore's HTTP/1.1."""

import select
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from time import monotonic
from typing import Any

import httpcore
import httpx

from http_client.response_buffer import ResponseBuffer
from http_client.translation import FAULTS, to_httpcore, to_httpx

_SENT_AT_ONCE = 256 * 1024


class Connection(httpx.BaseTransport):
    """Sends one request at a time. Any thread may end it by `shut_down`.

    It has no proxies, no redirects and no cookies.
    """

    def __init__(
        self, url: httpx.URL, *, tls: ssl.SSLContext, seconds: float, max_response: int
    ) -> None:
        """Connect to the server of `url` within `seconds`.

        Args:
            url: Only scheme, host and port are used.
            tls: For https.
            seconds: Time limit for connecting.
            max_response: Limit of a whole response, framing included, in bytes.

        Raises:
            OSError: The server can't be reached, or its certificate isn't valid.
        """
        origin = to_httpcore(httpx.Request("GET", url)).url.origin
        host = origin.host.decode("ascii").strip("[]")
        try:
            sock = socket.create_connection((host, origin.port), timeout=seconds)
        except UnicodeError as error:
            raise OSError(f"{host!r} is no name that DNS knows: {error}") from error
        try:
            if origin.scheme == b"https":
                sock = tls.wrap_socket(sock, server_hostname=host)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        except BaseException:
            sock.close()
            raise
        self._stream = _Stream(sock, ResponseBuffer(max_response=max_response))
        self._http = httpcore.HTTP11Connection(origin, self._stream)

    def limit(self, seconds: float) -> None:
        """Limit the time of the next exchange, from now to the last byte of its response."""
        self._stream.end = monotonic() + seconds

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request and return its response, with the body still to be read.

        Raises:
            TimeoutError: The time is over. Reading the body raises it, too.
            httpx.TransportError: There was no response. The message gives the reason.
            ResponseTooLong: The head is too long. Reading the body raises it, too.
        """
        self._stream.received.begin()
        try:
            response = self._http.handle_request(to_httpcore(request))
        except TimeoutError:
            raise
        except FAULTS as error:
            raise to_httpx(error) from error
        result = httpx.Response(response.status, headers=response.headers, stream=_Body(response))
        self._stream.received.expect_body(result.headers)
        return result

    def is_good(self) -> bool:
        """Whether another request may be sent: the exchange is over and nothing came unasked."""
        return self._http.is_idle() and self._stream.is_quiet()

    def shut_down(self) -> None:
        """End the exchange in another thread. Closing the socket wouldn't wake that thread."""
        self._stream.shut_down()

    def close(self) -> None:
        """Close the socket."""
        self._stream.close()


class _Stream(httpcore.NetworkStream):
    """What httpcore reads from and writes to."""

    def __init__(self, sock: socket.socket, received: ResponseBuffer) -> None:
        self._sock = sock
        self.received = received
        self.end = 0.0
        """When the exchange must be over, by the monotonic clock."""

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        rest = memoryview(buffer)
        while rest:
            self._sock.settimeout(self._remaining())
            try:
                rest = rest[self._sock.send(rest[:_SENT_AT_ONCE]) :]
            except TimeoutError:
                raise
            except OSError as error:
                # The server may have answered before it closed: httpcore reads the response.
                raise httpcore.WriteError(str(error)) from error

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if not self.received:
            self._sock.settimeout(self._remaining())
            data = self._sock.recv(max_bytes)
            if not data:
                return b""
            self.received.feed(data)
        return self.received.take(max_bytes)

    def close(self) -> None:
        self._sock.close()

    def get_extra_info(self, info: str) -> Any:
        return None

    def shut_down(self) -> None:
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def is_quiet(self) -> bool:
        if self.received or self._sock.fileno() < 0:
            return False
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        return not poll.poll(0)

    def _remaining(self) -> float:
        if (left := self.end - monotonic()) <= 0:
            raise TimeoutError("timed out")
        return left


class _Body(httpx.SyncByteStream):
    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._response.iter_stream()
        except TimeoutError:
            raise
        except FAULTS as error:
            raise to_httpx(error) from error

    def close(self) -> None:
        self._response.close()
