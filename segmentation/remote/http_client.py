"""An HTTP client for one server. It keeps its connections open.

It uses `http.client` and not httpx, because a deadline or a cancel ends a request from another
thread by shutting down its socket. httpx gives access to the socket only when the head of the
response has arrived.
"""

import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from threading import Lock
from time import monotonic
from urllib.parse import urlsplit

from segmentation.deadline import Deadline

MAX_RESPONSE_BYTES = 256 << 20
"""Longest response in bytes. For comparison: 28 classes at 1024 x 768 are 88 MB."""

_CONNECT_SECONDS = 5.0  # an unreachable address is noticed before the deadline
_IDLE_SECONDS = 4.0  # uvicorn closes an idle connection after 5 s
_PIECE = 256 << 10


@dataclass(frozen=True, slots=True)
class ServerResponse:
    """A complete response with any status."""

    status: int
    headers: Mapping[str, str]
    """Header values by lower-case name."""
    body: bytes


class HttpClient:
    """Sends requests to one server, each on a connection of its own. Thread-safe.

    It ignores proxies in the environment and doesn't follow redirects.
    """

    def __init__(self, url: str) -> None:
        """Connect nothing yet. Of `url`, only scheme, host and port are used."""
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._idle: list[tuple[HTTPConnection, float]] = []
        self._lock = Lock()

    def request(
        self,
        method: str,
        path: str,
        *,
        seconds: float,
        deadline: Deadline,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> ServerResponse:
        """Send a request and return the complete response.

        If an idle connection turns out to be closed, the request is sent again on another one. That
        is safe, because inference has no side effects.

        Args:
            method: The HTTP method.
            path: The path, with its leading slash.
            seconds: Time limit, from connecting to the last byte of the response.
            deadline: `expire` ends the request at once.
            headers: Headers to send in addition to those that HTTP needs.
            body: The request's body.

        Raises:
            DeadlineExceeded: `deadline` was over before the request, or `expire` ended it.
            TimeoutError: No complete response arrived within `seconds`.
            OSError: The server can't be reached, or broke the connection.
            ValueError: The response is longer than `MAX_RESPONSE_BYTES`.
        """
        end = monotonic() + seconds
        request = (method, path, body, dict(headers or {}))
        while (idle := self._take_idle()) is not None:
            with suppress(ConnectionError):
                return self._send(idle, request, end, deadline)
        return self._send(self._new_connection(), request, end, deadline)

    def close(self) -> None:
        """Close every connection that isn't in use."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection, _ in idle:
            connection.close()

    def _send(
        self,
        connection: HTTPConnection,
        request: tuple[str, str, bytes | None, dict[str, str]],
        end: float,
        deadline: Deadline,
    ) -> ServerResponse:
        method, path, body, headers = request
        complete = False
        try:
            sock = _connected_socket(connection, end)
            with deadline.stopping(lambda: _shut_down(sock)):
                sock.settimeout(_remaining(end))
                connection.request(method, path, body, headers)
                response = _read(sock, connection.getresponse(), end)
                complete = connection.sock is not None  # the server keeps it open too
        except HTTPException as error:
            raise ConnectionError(str(error) or type(error).__name__) from error
        finally:
            if not complete:
                connection.close()
        if complete:
            with self._lock:
                self._idle.append((connection, monotonic()))
        return response

    def _take_idle(self) -> HTTPConnection | None:
        """Return the connection that was used last, if it may still be open."""
        with self._lock:
            connection, since = self._idle.pop() if self._idle else (None, 0.0)
        if connection is not None and monotonic() - since > _IDLE_SECONDS:
            connection.close()
            self.close()  # the others have been idle for longer
            return None
        return connection

    def _new_connection(self) -> HTTPConnection:
        if self._tls is not None:
            return HTTPSConnection(self._host, self._port, context=self._tls)
        return HTTPConnection(self._host, self._port)


def _connected_socket(connection: HTTPConnection, end: float) -> socket.socket:
    """Return the connection's socket. Connect it first if necessary."""
    if connection.sock is None:
        connection.timeout = min(_CONNECT_SECONDS, _remaining(end))
        connection.connect()
    return connection.sock


def _read(sock: socket.socket, response: HTTPResponse, end: float) -> ServerResponse:
    body = bytearray()
    with response:
        while piece := response.read(_PIECE):
            body += piece
            if len(body) > MAX_RESPONSE_BYTES:
                raise ValueError(f"its answer is longer than {MAX_RESPONSE_BYTES >> 20} MiB")
            sock.settimeout(_remaining(end))
        if response.length:
            raise ConnectionResetError(f"its answer ended {response.length} bytes too early")
        headers = {name.lower(): value for name, value in response.getheaders()}
        return ServerResponse(response.status, headers, bytes(body))


def _remaining(end: float) -> float:
    if (left := end - monotonic()) <= 0:
        raise TimeoutError("timed out")
    return left


def _shut_down(sock: socket.socket) -> None:
    """End the socket's reads and writes in other threads. Closing it wouldn't wake them."""
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
