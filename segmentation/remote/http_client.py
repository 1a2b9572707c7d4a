"""Questions to one HTTP server and its answers, over connections that are kept.

By `http.client` rather than httpx: a deadline or a cancel ends a question from another thread by
shutting its socket, which httpx shows only when the answer's head is there.
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
"""Bytes of the longest answer that is read; 28 classes at 1024 x 768 are 88 MB."""

_CONNECT_SECONDS = 5.0  # an address that nobody answers at is known sooner than the deadline
_IDLE_SECONDS = 4.0  # below the 5 s after which uvicorn closes a connection that says nothing
_PIECE = 256 << 10


@dataclass(frozen=True, slots=True)
class ServerResponse:
    """A whole answer, whatever its status."""

    status: int
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes


class HttpClient:
    """Connections to one server, each lent to one question at a time. Thread-safe.

    No proxy of the environment is used and no redirect is followed.
    """

    def __init__(self, url: str) -> None:
        """Connect nothing yet; of `url` the scheme, host and port count."""
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._idle: list[tuple[HTTPConnection, float]] = []
        self._lock = Lock()

    def ask(
        self,
        method: str,
        path: str,
        *,
        seconds: float,
        deadline: Deadline,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> ServerResponse:
        """Ask once and return the whole answer.

        A question is repeated where a kept connection turns out to be closed: inference changes
        nothing, so that twice does no harm.

        Args:
            method: HTTP's.
            path: With its leading slash.
            seconds: That it may take, from connecting to the answer's last byte.
            deadline: Its `expire` ends it at once.
            headers: To be sent, besides those that HTTP needs.
            body: To be sent.

        Raises:
            DeadlineExceeded: `deadline` was over, before or meanwhile.
            TimeoutError: There was no whole answer in `seconds`.
            OSError: There was none at all.
            ValueError: The answer is longer than `MAX_RESPONSE_BYTES`.
        """
        end = monotonic() + seconds
        question = (method, path, body, dict(headers or {}))
        while (kept := self._kept()) is not None:
            with suppress(ConnectionError):
                return self._asked(kept, question, end, deadline)
        return self._asked(self._fresh(), question, end, deadline)

    def close(self) -> None:
        """Close every connection that isn't in use."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection, _ in idle:
            connection.close()

    def _asked(
        self,
        connection: HTTPConnection,
        question: tuple[str, str, bytes | None, dict[str, str]],
        end: float,
        deadline: Deadline,
    ) -> ServerResponse:
        method, path, body, headers = question
        whole = False
        try:
            line = _line(connection, end)
            with deadline.stopping(lambda: _shut(line)):
                line.settimeout(_left(end))
                connection.request(method, path, body, headers)
                answer = _read(line, connection.getresponse(), end)
                whole = connection.sock is not None  # the server will keep it, too
        except HTTPException as error:
            raise ConnectionError(str(error) or type(error).__name__) from error
        finally:
            if not whole:
                connection.close()
        if whole:
            with self._lock:
                self._idle.append((connection, monotonic()))
        return answer

    def _kept(self) -> HTTPConnection | None:
        """The connection that was used last, if it may still be open."""
        with self._lock:
            connection, since = self._idle.pop() if self._idle else (None, 0.0)
        if connection is not None and monotonic() - since > _IDLE_SECONDS:
            connection.close()
            self.close()  # the others have been idle for longer
            return None
        return connection

    def _fresh(self) -> HTTPConnection:
        if self._tls is not None:
            return HTTPSConnection(self._host, self._port, context=self._tls)
        return HTTPConnection(self._host, self._port)


def _line(connection: HTTPConnection, end: float) -> socket.socket:
    """The connection's socket, connected now where it wasn't."""
    if connection.sock is None:
        connection.timeout = min(_CONNECT_SECONDS, _left(end))
        connection.connect()
    return connection.sock


def _read(line: socket.socket, response: HTTPResponse, end: float) -> ServerResponse:
    body = bytearray()
    with response:
        while piece := response.read(_PIECE):
            body += piece
            if len(body) > MAX_RESPONSE_BYTES:
                raise ValueError(f"its answer is longer than {MAX_RESPONSE_BYTES >> 20} MiB")
            line.settimeout(_left(end))
        if response.length:
            raise ConnectionResetError(f"its answer ended {response.length} bytes too early")
        headers = {name.lower(): value for name, value in response.getheaders()}
        return ServerResponse(response.status, headers, bytes(body))


def _left(end: float) -> float:
    if (left := end - monotonic()) <= 0:
        raise TimeoutError("timed out")
    return left


def _shut(line: socket.socket) -> None:
    """End what another thread waits for on the socket; closing it wouldn't wake that thread."""
    with suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)
