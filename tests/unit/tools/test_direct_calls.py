"""Calls that don't pass FastAPI, and connections that send an answer in one piece, at once."""

import asyncio
import socket
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Response
from starlette.types import Receive, Scope, Send

from consumer.telemetry.serving import listen, served
from producer_tools.gateway import connections
from producer_tools.gateway.connections import JoinedWrites
from producer_tools.gateway.direct import Direct, DirectCall
from producer_tools.gateway.refusal import Refused

PATH = "/status/{job_id}"


async def say(name: str) -> Response:
    if name == "gone":
        raise Refused(404, "It is gone.")
    if name == "broken":
        raise ZeroDivisionError
    return Response(name)


def client_of() -> httpx.AsyncClient:
    app = FastAPI()

    async def described(job_id: str) -> str:
        return f"FastAPI: {job_id}"

    app.add_api_route(PATH, described)
    direct = Direct(
        app,
        [DirectCall(PATH, say)],
        refuse=lambda error: error.response() if isinstance(error, Refused) else None,
        own_up=lambda: Response("ours", status_code=500),
    )
    transport = httpx.ASGITransport(direct, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://gateway")


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("GET", "/status/a", 200, "a"),
        ("GET", "/status/%C3%A4%20%3Cb%3E", 200, "ä <b>"),
        ("GET", "/status/gone", 404, '{"detail":"It is gone."}'),
        ("GET", "/status/broken", 500, "ours"),
        ("GET", "/status/", 404, '{"detail":"Not Found"}'),
        ("GET", "/status/a/b", 404, '{"detail":"Not Found"}'),
        ("GET", "/status/a%2Fb", 404, '{"detail":"Not Found"}'),
        ("GET", "/other", 404, '{"detail":"Not Found"}'),
        ("POST", "/status/a", 405, '{"detail":"Method Not Allowed"}'),
    ],
)
async def test_a_name_is_answered_directly_and_all_else_by_fastapi(
    method: str, path: str, status: int, text: str
) -> None:
    async with client_of() as client:
        answer = await client.request(method, path)
    assert (answer.status_code, answer.text) == (status, text)


async def test_a_head_and_its_body_come_in_one_piece() -> None:
    """A large body, and one that is sent later, come whole, too."""
    large = b"x" * 1_000_000

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        size = b"%d" % (len(large) + 2 if scope["path"] == "/large" else 2)
        await send(_start(size))
        if scope["path"] == "/large":
            await send({"type": "http.response.body", "body": large, "more_body": True})
        await send({"type": "http.response.body", "body": b"ok"})

    listening = listen("127.0.0.1", 0, setting="PORT")
    port = listening.getsockname()[1]
    async with served(app, listening, stop_seconds=1, options=connections.options()):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /small HTTP/1.1\r\nHost: x\r\n\r\n")
        piece = await reader.read(65536)
        assert piece.endswith(b"\r\n\r\nok")
        writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = await reader.read(-1)
        assert answer.partition(b"\r\n\r\n")[2] == large + b"ok"
        writer.close()
        await writer.wait_closed()


def _start(size: bytes) -> dict[str, Any]:
    headers = [(b"content-length", size)]
    return {"type": "http.response.start", "status": 200, "headers": headers}


class Sent(asyncio.Transport):
    """A transport that keeps what it is given to send."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []

    def write(self, data: Any) -> None:
        self.pieces.append(bytes(data))

    def close(self) -> None:
        self.pieces.append(b"closed")


async def test_what_is_written_at_one_moment_is_sent_at_once() -> None:
    """Later writes by themselves; what is large isn't kept; a close sends the rest."""
    sent = Sent()
    joined = JoinedWrites(sent, asyncio.get_running_loop())
    joined.write(b"head ")
    joined.write(b"")
    joined.write(b"body")
    assert sent.pieces == []
    await asyncio.sleep(0)
    joined.write(b"x" * 100_000)
    joined.write(b"end")
    joined.close()
    await asyncio.sleep(0)
    assert sent.pieces == [b"head body", b"x" * 100_000, b"end", b"closed"]


def test_no_connection_waits_for_its_caller_to_acknowledge() -> None:
    """Nagle's algorithm is off on each, whatever asyncio thinks of the listening socket."""
    with (
        listen("127.0.0.1", 0, setting="PORT") as listening,
        socket.create_connection(listening.getsockname()),
    ):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
