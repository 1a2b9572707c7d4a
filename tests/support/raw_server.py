"""A server of sockets and threads, for peers that no HTTP library would play."""

import socket
from collections.abc import Callable
from contextlib import suppress
from threading import Condition, Event, Thread
from typing import Self

Behaviour = Callable[[socket.socket, "RawServer"], None]
"""What happens on one connection; it is closed afterwards."""


class RawServer:
    """Gives each connection to the next of `behaviours`, the last of them also to all that follow.

    `closed` is set when a test is over: whoever waits on a connection waits for that.
    """

    def __init__(self, *behaviours: Behaviour) -> None:
        self._behaviours = list(behaviours)
        self.connections = 0
        self.closed = Event()
        self._came = Condition()
        self._open: list[socket.socket] = []

    def __enter__(self) -> Self:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._socket.getsockname()[1]
        Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closed.set()
        self._socket.close()
        for line in self._open:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
            line.close()

    @property
    def origin(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def wait_for(self, connections: int) -> None:
        """Return when so many connections have come."""
        with self._came:
            assert self._came.wait_for(lambda: self.connections >= connections, timeout=30)

    def still_open(self) -> list[socket.socket]:
        """The server's own ends of connections."""
        return [line for line in self._open if line.fileno() >= 0]

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                line, _ = self._socket.accept()
                self._open.append(line)
                with self._came:
                    self.connections += 1
                    self._came.notify_all()
                behaviours = self._behaviours
                behaviour = behaviours.pop(0) if len(behaviours) > 1 else behaviours[0]
                Thread(target=self._serve, args=(behaviour, line), daemon=True).start()

    def _serve(self, behaviour: Behaviour, line: socket.socket) -> None:
        with suppress(OSError):
            behaviour(line, self)
        line.close()


def read_head(line: socket.socket) -> bytes:
    """Read a request's head, byte by byte, and nothing of its body."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = line.recv(1)
        if not byte:
            raise ConnectionResetError("no more requests")
        head += byte
    return head


def read_request(line: socket.socket) -> bytes:
    """Read a request with its body, and return the body."""
    found = read_head(line).lower().partition(b"content-length:")[2].split()
    length = int(found[0]) if found else 0
    body = bytearray()
    while len(body) < length and (piece := line.recv(1 << 20)):
        body += piece
    return bytes(body)


def send_all(*pieces: bytes, pause: float = 0) -> Behaviour:
    """Answer every request with these pieces, each sent by itself, `pause` seconds apart."""

    def behaviour(line: socket.socket, server: RawServer) -> None:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        while True:
            read_request(line)
            for piece in pieces:
                line.sendall(piece)
                server.closed.wait(pause)

    return behaviour


def never_read(line: socket.socket, server: RawServer) -> None:
    """Take the connection, and read and say nothing."""
    server.closed.wait(60)
