"""A real HTTP server whose answers the test chooses, good or bad."""

import asyncio
import json
import ssl
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser
from types import TracebackType
from typing import Self

STORED = {"upper_body_mask": "minio://masks/u.png", "lower_body_mask": "minio://masks/l.png"}

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Seen:
    """A request as it came in."""

    target: str
    headers: Message
    body: bytes

    def form(self) -> dict[str, tuple[str | None, str, bytes]]:
        """Read the body as a form: name to file name, content type and content."""
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        parts = BytesParser().parsebytes(head + self.body).get_payload()
        assert isinstance(parts, list)
        form = {}
        for part in parts:
            assert isinstance(part, Message)
            name = part.get_param("name", header="content-disposition")
            content = part.get_payload(decode=True)
            assert isinstance(content, bytes)
            form[str(name)] = (part.get_filename(), part.get_content_type(), content)
        return form


def reply(status: int, body: bytes = b"", **headers: str) -> bytes:
    """Write an answer."""
    fields = {"content-length": str(len(body)), **headers}
    lines = [f"HTTP/1.1 {status} X", *(f"{k.replace('_', '-')}: {v}" for k, v in fields.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def stored() -> bytes:
    """Write the answer that a receiver gives when it has stored the masks."""
    return reply(200, json.dumps({"status": "success", "stored_keys": STORED}).encode())


async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer nothing for as long as the other side waits."""
    await reader.read()


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Close without an answer."""
    writer.close()


async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Break the connection."""
    writer.transport.abort()


async def stop_halfway(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Close in the middle of the answer."""
    writer.write(stored()[:-10])
    await writer.drain()
    writer.close()


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send an answer of a thousand bytes, a byte every hundredth of a second."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
    for _ in range(1000):
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.01)


class Receiver:
    """Answers each request with the next of `answers`; without one, as if it stored masks."""

    def __init__(self) -> None:
        self.tls: ssl.SSLContext | None = None
        self.answers: deque[bytes | Behaviour] = deque()
        self.requests: list[Seen] = []
        self.connections = 0
        self._open: set[asyncio.StreamWriter] = set()
        self._serving: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._begin, "127.0.0.1", 0, limit=2**20, ssl=self.tls
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.close()
        for writer in self._open:
            writer.transport.abort()
        await self._server.wait_closed()
        await asyncio.gather(*self._serving)

    @property
    def origin(self) -> str:
        """Where it answers."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def answer_to(self, request: Seen) -> bytes | Behaviour:
        """Say how a request is answered."""
        return self.answers.popleft() if self.answers else stored()

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._serving.append(asyncio.create_task(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(writer)
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                while not writer.is_closing():
                    await self._answer(reader, writer)
        finally:
            writer.close()
            self._open.discard(writer)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line, _, rest = (await reader.readuntil(b"\r\n\r\n")).partition(b"\r\n")
        headers = BytesParser().parsebytes(rest)
        body = await reader.readexactly(int(headers["Content-Length"] or 0))
        seen = Seen(line.decode().split()[1], headers, body)
        self.requests.append(seen)
        answer = self.answer_to(seen)
        if isinstance(answer, bytes):
            writer.write(answer)
            await writer.drain()
        else:
            await answer(reader, writer)
