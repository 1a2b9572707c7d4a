import asyncio
import os
import sys
import textwrap
from collections.abc import AsyncIterator

import pytest

from consumer.errors import JobFailed, StartError, Unavailable
from consumer.s3.client import READ_SECONDS
from consumer.s3.fetch import Images
from consumer.settings import S3Settings, load
from schemas.job import ImageReference
from tests.support.receiver import Behaviour, Receiver, hang_up, reply, reset, silence

PHOTO = ImageReference("uploads", "a/1.jpg")


def error(code: str) -> bytes:
    """Write an error as S3 does."""
    return f"<Error><Code>{code}</Code><Message>why</Message></Error>".encode()


@pytest.fixture
async def images(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Images]:
    """Fetches of at most 1,000 bytes from a server that isn't quite S3."""
    monkeypatch.setenv("S3_ENDPOINT_URL", receiver.origin)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setattr("consumer.s3.client.READ_SECONDS", 1)
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
    ],
)
async def test_trouble_is_raised_and_not_retried(
    trouble: bytes | Behaviour, receiver: Receiver, images: Images
) -> None:
    """One try, one `Unavailable`: holding is the line's; the next fetch is served."""
    receiver.answers.append(trouble)
    with pytest.raises(Unavailable) as raised:
        await images.fetch(PHOTO)
    assert (raised.value.code, raised.value.stage) == ("storage_unavailable", "fetch")
    assert len(receiver.requests) == 1
    receiver.answers.append(reply(200, b"photo"))
    assert await images.fetch(PHOTO) == b"photo"


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


async def test_what_may_not_be_read_is_not_asked_for(receiver: Receiver, images: Images) -> None:
    """A step out of the bucket never reaches S3, or a proxy before it."""
    with pytest.raises(JobFailed) as raised:
        await images.fetch(ImageReference("uploads", "../private/1.jpg"))
    assert raised.value.code == "image_forbidden"
    assert receiver.requests == []


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


async def test_a_setting_that_no_client_can_be_made_of_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is found at the start, and not by the first job."""
    monkeypatch.setenv("AWS_PROFILE", "missing")
    with pytest.raises(StartError, match="S3_REGION or the AWS profile") as raised:
        async with Images(load(S3Settings), max_bytes=1, threads=1):
            pass
    assert raised.value.exit_code == 2
