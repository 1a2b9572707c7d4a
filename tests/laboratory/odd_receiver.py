"""A receiver that stands before the mask-asset service and is odd now and then, of raw sockets."""

import itertools
import socket
from collections.abc import Callable
from contextlib import closing
from email.parser import BytesHeaderParser
from http.client import HTTPConnection
from typing import Literal
from urllib.parse import urlsplit

from tests.support.raw_server import RawServer, read_head
from tests.support.receiver import reply

Oddity = Literal["unread", "twice", "early"]
ODD_EVERY = 12
"""Of requests: the line goes on meanwhile."""
TOO_LARGE = "too-large-"
"""Jobs whose id begins like this are answered 413 before their body is read."""
_PASSED_ON = ("Content-Type", "X-Internal-Auth", "Idempotency-Key", "traceparent")
_SECONDS = 60.0
_PIECE = 1 << 20


def odd_receiver(service_url: str, oddity: Oddity) -> RawServer:
    """Give a server that passes requests on to the service, and is odd at every twelfth.

    `unread`: it reads and answers nothing more on the connection. `early`: it answers 503 before
    it has read the body, and closes. `twice`: it answers, and adds a refusal that nobody asked for.
    """
    numbers = itertools.count(1)

    def serve(line: socket.socket, server: RawServer) -> None:
        line.settimeout(_SECONDS)
        while True:
            head = BytesHeaderParser().parsebytes(read_head(line).partition(b"\r\n")[2])
            odd = next(numbers) % ODD_EVERY == 0
            if odd and oddity == "unread":
                server.closed.wait(_SECONDS)
                return
            if early := _early_answer(head["Idempotency-Key"], odd=odd and oddity == "early"):
                line.sendall(early)
                return
            body = _read(line.recv, int(head["Content-Length"]))
            headers = {name: head[name] for name in _PASSED_ON if name in head}
            line.sendall(_passed_on(service_url, headers, body))
            if odd and oddity == "twice":
                line.sendall(reply(422, b'{"status": "failure"}'))

    return RawServer(serve)


def _passed_on(url: str, headers: dict[str, str], body: bytes) -> bytes:
    """Ask the service, and give its answer."""
    parts = urlsplit(url)
    with closing(HTTPConnection(parts.netloc, timeout=_SECONDS)) as service:
        service.request("POST", parts.path, body, headers)
        answer = service.getresponse()
        return reply(answer.status, answer.read())


def _early_answer(key: str, *, odd: bool) -> bytes:
    if key.startswith(TOO_LARGE):
        return reply(413, b"too large", connection="close")
    return reply(503, b"busy", connection="close") if odd else b""


def _read(receive: Callable[[int], bytes], size: int) -> bytes:
    """Read a body.

    Raises:
        ConnectionResetError: the other side has gone.
    """
    body = bytearray()
    while len(body) < size:
        piece = receive(min(_PIECE, size - len(body)))
        if not piece:
            raise ConnectionResetError("the body has ended early")
        body += piece
    return bytes(body)
