import asyncio
import os
import sys
import textwrap
import time
from collections.abc import AsyncIterator

import pytest

from consumer.errors import JobFailed, Unavailable
from consumer.s3.answers import ObjectUnavailable
from consumer.s3.connections import READ_SECONDS
from consumer.s3.fetch import Images
from consumer.settings import S3Settings, load
from schemas.job import ImageReference
from tests.support.receiver import Behaviour, Receiver, hang_up, reply, reset, silence
from tests.support.s3_stand_in import dripping, error

PHOTO = ImageReference("uploads", "a/1.jpg")
OK = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture
async def images(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Images]:
    """Fetches of at most 1,000 bytes from a server that isn't quite S3."""
    monkeypatch.setenv("S3_ENDPOINT_URL", receiver.origin)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    async with Images(load(S3Settings), max_bytes=1000, threads=4) as opened:
        yield opened


async def half_a_photo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Promise a hundred bytes and send ten."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n0123456789")
    await writer.drain()
    writer.close()


async def half_and_silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Promise a hundred bytes, send ten, and wait."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n0123456789")
    await reader.read()


@pytest.mark.parametrize(
    "trouble",
    [
        silence,
        hang_up,
        reset,
        half_a_photo,
        half_and_silence,
        b"this is not HTTP\r\n\r\n",
        reply(500, error("InternalError")),
        reply(502, b"<html>bad gateway</html>"),
        reply(503, error("SlowDown")),
        reply(403, error("SignatureDoesNotMatch")),
        reply(400, error("ExpiredToken")),
        reply(401, b"who are you?"),
        reply(404, b"default backend - 404", Content_Type="text/plain"),
        reply(404, b""),
        reply(403, b"<html>Forbidden by the firewall</html>"),
        reply(200, b"<html>Please log in</html>", Content_Type="text/html"),
        reply(200, b"<html>" + b"x" * 2000, Content_Type="text/html"),
        reply(302, b"", Location="http://elsewhere.invalid/"),
        reply(204),
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nphoto!",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nnonsense\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"x" * 300_000,
        b"HTTP/2 200\r\n\r\n",
        b"\r\n\r\n",
    ],
)
async def test_trouble_is_raised_and_not_retried(
    trouble: bytes | Behaviour,
    receiver: Receiver,
    images: Images,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One try, one `Unavailable`: holding is the line's; the next fetch is served."""
    receiver.answers.append(trouble)
    with monkeypatch.context() as impatient:
        impatient.setattr("consumer.s3.connections.READ_SECONDS", 1)
        with pytest.raises(Unavailable) as raised:
            await images.fetch(PHOTO)
    assert (raised.value.code, raised.value.stage) == ("storage_unavailable", "fetch")
    assert len(receiver.requests) == 1
    receiver.answers.append(reply(200, b"photo"))
    assert await images.fetch(PHOTO) == b"photo"


@pytest.mark.parametrize(
    "headers",
    [
        b"Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT\r\nLast-Modified: never\r\n",
        b"Last-Modified: yesterday\r\n",
        b"Expires: 99999999999999999999\r\n",
        b"x-amz-missing-meta: many\r\n",
        b"x-amz-mp-parts-count: \xff\r\n",
        b"x-amz-delete-marker: perhaps\r\n",
        b"x-amz-meta-name: \xe4\xf6\xfc \xf0\x9f\x93\xb7\r\n",
        b"x-amz-meta-nul: a\x00b\r\n",
        b"Content-Type: \r\nETag: \r\n",
        b"Content-Encoding: gzip\r\n",
        b"Content-Encoding: aws-chunked\r\n",
        b"Content-Length: 5\r\nContent-Length: 5\r\n",
        b"Content-Range: bytes 7-3/x\r\n",
        b"x-amz-checksum-crc32: AAAAAA==\r\n",
        b"x-amz-storage-class: \r\nno colon at all\r\n",
        b"folded: one\r\n two\r\n",
        b": no name\r\n",
        b"x-long: " + b"x" * 100_000 + b"\r\n",
        b"".join(b"x-amz-meta-%d: x\r\n" % number for number in range(680)),
    ],
)
async def test_a_header_that_nobody_needs_costs_no_photo(
    headers: bytes, receiver: Receiver, images: Images
) -> None:
    """The photo's bytes decide."""
    length = b"" if b"Content-Length" in headers else b"Content-Length: 5\r\n"
    receiver.answers.append(OK + headers + length + b"\r\nphoto")
    assert await images.fetch(PHOTO) == b"photo"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 5\r\n\r\nphoto",
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK + b"Content-Length: 5\r\n\r\nphoto",
        b"HTTP/1.1 200 OK\nContent-Length: 5\n\nphoto",
        OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nphoto\r\n0\r\nx-trailer: 1\r\n\r\n",
    ],
)
async def test_a_photo_may_come_in_any_form(
    answer: bytes, receiver: Receiver, images: Images
) -> None:
    """Ours is a plain GET."""
    receiver.answers.append(answer)
    assert await images.fetch(PHOTO) == b"photo"
    receiver.answers.append(reply(200, b"other"))
    assert await images.fetch(PHOTO) == b"other"


async def test_a_photo_without_a_length_ends_with_its_connection(
    receiver: Receiver, images: Images
) -> None:
    """As HTTP/1.0 has it."""

    async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.0 200 OK\r\n\r\nphoto")
        writer.close()

    receiver.answers.append(close)
    assert await images.fetch(PHOTO) == b"photo"


@pytest.mark.parametrize(
    "slow",
    [
        silence,
        dripping(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n", b"x" * 1000),
        dripping(b"HTTP/1.1 200 OK\r\n", b"x-slow: " + b"x" * 1000),
        dripping(b"", b"HTTP/1.1 200 " + b"O" * 1000),
        dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 50),
        dripping(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 500),
        dripping(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nphoto\r\n0\r\n",
            b"x: 1\r\n" * 500,
        ),
        dripping(b"HTTP/1.1 404 Not Found\r\ncontent-length: 1000\r\n\r\n", b" " * 1000),
    ],
)
async def test_a_fetch_as_a_whole_has_a_deadline(
    slow: Behaviour, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often a byte comes; no thread goes on reading, and the next fetch is served."""
    monkeypatch.setenv("S3_ENDPOINT_URL", receiver.origin)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("FETCH_DEADLINE_SECONDS", "1.5")
    async with Images(load(S3Settings), max_bytes=100_000, threads=1) as images:
        receiver.answers.append(slow)
        begin = time.monotonic()
        with pytest.raises(ObjectUnavailable, match="FETCH_DEADLINE_SECONDS"):
            await images.fetch(PHOTO)
        assert time.monotonic() - begin < 20
        receiver.answers.append(reply(200, b"photo"))
        assert await images.fetch(PHOTO) == b"photo"


async def test_an_idle_connection_that_was_closed_is_not_used(
    receiver: Receiver, images: Images
) -> None:
    """Nor one on which something came that nobody asked for."""

    async def answer_twice(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(reply(200, b"photo"))
        await writer.drain()
        writer.write(reply(200, b"wrong"))
        await writer.drain()

    receiver.answers.append(answer_twice)
    assert await images.fetch(PHOTO) == b"photo"
    await asyncio.sleep(0)
    receiver.answers.append(reply(200, b"other", Connection="close"))
    assert await images.fetch(PHOTO) == b"other"
    receiver.answers.append(reply(200, b"third"))
    assert await images.fetch(PHOTO) == b"third"


async def test_connections_are_used_again(receiver: Receiver, images: Images) -> None:
    """A connection for each photo would cost more than a small photo."""
    for _ in range(5):
        receiver.answers.append(reply(200, b"photo"))
        await images.fetch(PHOTO)
    receiver.answers.append(reply(404, error("NoSuchKey")))
    with pytest.raises(JobFailed):
        await images.fetch(PHOTO)
    assert receiver.connections == 1


async def test_a_photo_too_large_is_not_read(receiver: Receiver, images: Images) -> None:
    """Its length is enough to refuse it."""
    receiver.answers.append(reply(200, b"x" * 1001))
    with pytest.raises(JobFailed, match="MAX_IMAGE_BYTES is 1000") as raised:
        await images.fetch(PHOTO)
    assert raised.value.code == "image_too_large"


async def test_an_endless_photo_is_cut(receiver: Receiver, images: Images) -> None:
    """Where there is no length, no more is taken than may be: what was sent fills a few buffers."""
    sent = 0

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"1000\r\n" + b" " * 4096 + b"\r\n")
            sent += 4096
            await writer.drain()

    receiver.answers.append(endless)
    with pytest.raises(JobFailed) as raised:
        await images.fetch(PHOTO)
    assert raised.value.code == "image_too_large"
    assert sent < 32 * 1024 * 1024


async def test_a_dead_s3_does_not_hold_up_the_exit(receiver: Receiver) -> None:
    """A process whose fetch was cancelled ends at once, and not when S3's time-out does."""
    script = """
        import asyncio
        from consumer.s3.fetch import Images
        from consumer.settings import S3Settings, load
        from schemas.job import ImageReference

        async def main():
            async with Images(load(S3Settings), max_bytes=1, threads=1) as images:
                fetch = asyncio.create_task(images.fetch(ImageReference("uploads", "1.jpg")))
                await asyncio.to_thread(input)  # the test writes a line when S3 has been asked
                fetch.cancel()

        asyncio.run(main())
    """
    asked = asyncio.Event()

    async def dead(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await silence(reader, writer)

    receiver.answers.append(dead)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", textwrap.dedent(script)),
        stdin=asyncio.subprocess.PIPE,
        env={
            **os.environ,
            "S3_ENDPOINT_URL": receiver.origin,
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
        },
    )
    await asked.wait()
    async with asyncio.timeout(READ_SECONDS / 3):
        await process.communicate(b"\n")
    assert process.returncode == 0
