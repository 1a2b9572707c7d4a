"""HTTP connections to S3 on which no wait lasts past the fetch's deadline.

http.client, since a fetch must end in the middle of a read, and since only the headers that a fetch
needs may be read at all: one that is odd or repeated must cost no photo.
"""

import re
import select
import socket
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from io import BufferedReader, BytesIO
from threading import Lock
from typing import Any, cast

from consumer.s3.endpoint import Location

CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
IDLE_SECONDS = 30.0
"""What lies between us and S3 may forget an idle connection without telling."""

HEAD_BYTES = 256 * 1024
_NEEDED = frozenset({
    b"connection", b"content-length", b"content-type", b"etag", b"retry-after",
    b"transfer-encoding", b"x-amz-request-id",
})  # fmt: skip


class Overdue(TimeoutError):
    """The fetch has reached its deadline."""


class Deadline:
    """When a fetch must be over."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self, *, at_most: float) -> float:
        """Give the seconds that a wait may last; raise `Overdue` when there are none."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise Overdue
        return min(left, at_most)

    def expire(self) -> None:
        """Let the fetch end with the next byte: nobody waits for it any more."""
        self._end = 0.0


class _BoundedSocket(socket.socket):
    """A socket whose reads end by the deadline."""

    deadline: Deadline

    def recv_into(self, *arguments: Any) -> int:
        """Wait as long as the fetch may still last, and no longer than for a stall."""
        self.settimeout(self.deadline.left(at_most=READ_SECONDS))
        try:
            return super().recv_into(*arguments)
        except TimeoutError:
            self.deadline.left(at_most=0)
            raise TimeoutError(f"no byte came for {READ_SECONDS:g} s") from None


class _BoundedTlsSocket(_BoundedSocket, ssl.SSLSocket):
    """The same with TLS; `ssl` makes it."""


class _Response(HTTPResponse):
    """An answer of which only the needed headers are read."""

    def begin(self) -> None:
        """Read the head; a `Last-Modified` that is no date, or 500 headers, don't matter."""
        rest = self.fp
        self.fp = BufferedReader(BytesIO(_needed_head(rest)))
        try:
            super().begin()
        finally:
            self.fp = rest


class _Connection(HTTPConnection):
    response_class = _Response

    def connect(self) -> None:
        """Connect, with a socket that is bounded."""
        super().connect()
        timeout = self.sock.gettimeout()
        self.sock = _BoundedSocket(fileno=self.sock.detach())
        self.sock.settimeout(timeout)


class _TlsConnection(HTTPSConnection):
    response_class = _Response


class Unreachable(Exception):
    """No connection to S3 could be made."""


class Connections:
    """Keeps idle connections for the next fetch. Its methods are called in threads."""

    def __init__(self, *, ca_file: str, at_most: int) -> None:
        """Keep `at_most` idle ones. Raise OSError where the CA file can't be read or has none."""
        self._tls = ssl.create_default_context(cafile=ca_file)
        self._tls.sslsocket_class = _BoundedTlsSocket
        self._at_most = at_most
        self._idle: list[tuple[HTTPConnection, float]] = []
        self._lock = Lock()

    @contextmanager
    def get(
        self, location: Location, headers: Mapping[str, str], deadline: Deadline
    ) -> Iterator[HTTPResponse]:
        """Ask for an object; give the answer, its body not yet read.

        Raises:
            Unreachable: there is no connection.
            Overdue: the deadline is reached; other errors of http.client and its sockets: the
                answer broke off, or wasn't HTTP.
        """
        connection = self._take_idle(location) or self._connect(location, deadline)
        try:
            cast("_BoundedSocket", connection.sock).deadline = deadline
            connection.request("GET", location.target, headers=dict(headers))
            with connection.getresponse() as response:
                yield response
                reusable = response.isclosed() and not response.will_close
        except BaseException:
            connection.close()
            raise
        if reusable:
            self._keep(connection)
        else:
            connection.close()

    def close(self) -> None:
        """Close what is idle, and keep nothing more."""
        with self._lock:
            self._at_most = 0
            while self._idle:
                self._idle.pop()[0].close()

    def _connect(self, location: Location, deadline: Deadline) -> HTTPConnection:
        timeout = deadline.left(at_most=CONNECT_SECONDS)
        connection: HTTPConnection
        if location.scheme == "https":
            connection = _TlsConnection(
                location.host, location.port, timeout=timeout, context=self._tls
            )
        else:
            connection = _Connection(location.host, location.port, timeout=timeout)
        try:
            connection.connect()
        except (OSError, UnicodeError) as error:
            connection.close()
            reason = f"{type(error).__name__}: {error}"
            raise Unreachable(f"{location.scheme}://{location.authority}: {reason}") from error
        return connection

    def _take_idle(self, location: Location) -> HTTPConnection | None:
        """Take the connection to this host that was used last, if it is still good."""
        while (kept := self._pop_idle(location.host)) is not None:
            connection, since = kept
            if time.monotonic() - since < IDLE_SECONDS and not _has_news(connection.sock):
                return connection
            connection.close()
        return None

    def _pop_idle(self, host: str) -> tuple[HTTPConnection, float] | None:
        with self._lock:
            for kept in reversed(self._idle):
                if kept[0].host == host:
                    self._idle.remove(kept)
                    return kept
        return None

    def _keep(self, connection: HTTPConnection) -> None:
        with self._lock:
            self._idle.append((connection, time.monotonic()))
            spare = self._idle.pop(0)[0] if len(self._idle) > self._at_most else None
        if spare is not None:
            spare.close()


def _has_news(idle: socket.socket) -> bool:
    """Whether an idle connection was closed, or says something that nobody asked for."""
    poll = select.poll()
    with suppress(OSError):
        poll.register(idle, select.POLLIN)
        return bool(poll.poll(0))
    return True


def _needed_head(stream: BufferedReader) -> bytes:
    """Read the answer's head, past that of any `100 Continue`; keep what a fetch needs of it."""
    left = HEAD_BYTES
    while True:
        lines = list(_head_lines(stream, left))
        left -= sum(map(len, lines))
        if not re.match(rb"HTTP/1\.\d 1\d\d", lines[0]):
            return b"".join([lines[0], *_needed(lines[1:]), b"\r\n"])


def _head_lines(stream: BufferedReader, left: int) -> Iterator[bytes]:
    """Give the status line and the headers. What doesn't begin like HTTP is one line."""
    line = stream.readline(left)
    yield line
    while line.startswith(b"HTTP/") or line not in (b"", b"\n", b"\r\n"):
        left -= len(line)
        line = stream.readline(left)
        if not line.endswith(b"\n"):
            raise HTTPException(
                f"the answer's head broke off, or is larger than {HEAD_BYTES} bytes"
            )
        yield line


def _needed(headers: Sequence[bytes]) -> Iterator[bytes]:
    lengths = set[bytes]()
    for header in headers:
        name, _, value = header.partition(b":")
        if name.lower() == b"content-length":
            lengths.update(length.strip() for length in value.split(b","))
        elif name.lower() in _NEEDED:
            yield header
    if len(lengths) > 1:
        raise HTTPException("the answer has two lengths")
    yield from (b"Content-Length: %b\r\n" % length for length in lengths)
