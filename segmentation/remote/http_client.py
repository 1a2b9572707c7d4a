"""An HTTP client for one server. It keeps its connections open."""

import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock
from time import monotonic

import httpx

from http_client.connection import Connection
from http_client.response_buffer import ResponseTooLong
from segmentation.deadline import Deadline

MAX_RESPONSE_BYTES = 256 << 20
"""Longest response in bytes. For comparison: 28 classes at 1024 x 768 are 88 MB."""

_CONNECT_SECONDS = 5.0  # an unreachable address is noticed before the deadline
_IDLE_SECONDS = 4.0  # uvicorn closes an idle connection after 5 s


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
        self._url = httpx.URL(url)
        self._tls = ssl.create_default_context()
        self._idle: list[tuple[Connection, float]] = []
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
            ValueError: The response is longer than `MAX_RESPONSE_BYTES`, or can't be decompressed.
        """
        end = monotonic() + seconds
        request = httpx.Request(
            method,
            self._url.copy_with(raw_path=path.encode()),
            headers={"accept-encoding": "identity", **(headers or {})},
            content=body,
        )
        while (idle := self._take_idle()) is not None:
            with suppress(ConnectionError):
                return self._send(idle, request, end, deadline)
        return self._send(self._connect(end), request, end, deadline)

    def close(self) -> None:
        """Close every connection that isn't in use."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection, _ in idle:
            connection.close()

    def _send(
        self, connection: Connection, request: httpx.Request, end: float, deadline: Deadline
    ) -> ServerResponse:
        try:
            with deadline.stopping(connection.shut_down):
                connection.limit(end - monotonic())
                response = connection.handle_request(request)
                body = _read(response)
        except httpx.TransportError as error:
            raise ConnectionError(str(error)) from error
        except httpx.DecodingError as error:
            raise ValueError(f"its answer can't be decompressed: {error}") from error
        except ResponseTooLong:
            limit = MAX_RESPONSE_BYTES >> 20
            raise ValueError(f"its answer is longer than {limit} MiB") from None
        finally:
            self._take_back(connection)
        return ServerResponse(response.status_code, dict(response.headers), body)

    def _take_back(self, connection: Connection) -> None:
        if connection.is_good():
            with self._lock:
                self._idle.append((connection, monotonic()))
        else:
            connection.close()

    def _take_idle(self) -> Connection | None:
        """Return the connection that was used last, if it may still be open."""
        while True:
            with self._lock:
                connection, since = self._idle.pop() if self._idle else (None, 0.0)
            if connection is None:
                return None
            if monotonic() - since <= _IDLE_SECONDS and connection.is_good():
                return connection
            connection.close()

    def _connect(self, end: float) -> Connection:
        seconds = min(_CONNECT_SECONDS, end - monotonic())
        if seconds <= 0:
            raise TimeoutError("timed out")
        return Connection(
            self._url, tls=self._tls, seconds=seconds, max_response=MAX_RESPONSE_BYTES
        )


def _read(response: httpx.Response) -> bytes:
    """Read the body. Decompress it if the server has compressed it without being asked."""
    body = bytearray()
    for piece in response.iter_bytes():
        body += piece
        if len(body) > MAX_RESPONSE_BYTES:
            raise ResponseTooLong
    response.close()
    return bytes(body)
