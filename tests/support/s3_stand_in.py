"""A raw socket server in S3's place, which gives each object as it is told, well or badly."""

import asyncio

from tests.support.receiver import Behaviour, Receiver, Seen, reply


def error(code: str, message: str = "why", extra: str = "") -> bytes:
    """Write an error document as S3 does."""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code>'
        f"<Message>{message}</Message>{extra}<RequestId>1</RequestId></Error>"
    ).encode()


def dripping(head: bytes, body: bytes, *, seconds: float = 0.05) -> Behaviour:
    """Send the head at once and then a byte each time that so many seconds are over."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        for byte in body:
            await asyncio.sleep(seconds)
            writer.write(bytes([byte]))
            await writer.drain()

    return drip


def breaking_off(body: bytes, *, promised: int) -> Behaviour:
    """Promise more than is sent, and close."""

    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % promised + body)
        await writer.drain()
        writer.close()

    return break_off


class S3StandIn(Receiver):
    """Gives `objects` by their path; for any other, S3's own `NoSuchKey`."""

    def __init__(self) -> None:
        super().__init__()
        self.objects: dict[str, bytes | Behaviour] = {}
        """Path to whole answer."""
        self.everything: bytes | Behaviour | None = None
        """The one answer to all requests, while it is set."""

    def put(self, path: str, content: bytes) -> None:
        """Store an object."""
        self.objects[path] = reply(200, content, ETag='"1"')

    def asked_for(self, path: str) -> list[Seen]:
        """Give the requests for this path."""
        return [request for request in self.requests if request.target == path]

    def answer_to(self, request: Seen) -> bytes | Behaviour:
        """Answer by the path."""
        if self.everything is not None:
            return self.everything
        if self.answers:
            return self.answers.popleft()
        missing = reply(404, error("NoSuchKey"))
        return self.objects.get(request.target.partition("?")[0], missing)
