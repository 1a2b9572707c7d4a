import asyncio
from collections.abc import AsyncIterator

import pytest

from consumer.errors import JobFailed, StartError, Unavailable
from consumer.images import Images
from consumer.settings import S3Settings, load
from schemas.job import ImageReference
from tests.receiver import Behaviour, Receiver, hang_up, reply, reset, silence

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
    monkeypatch.setattr("consumer.images.READ_SECONDS", 0.2)
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


async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send a photo without a length and without an end."""
    writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    while not writer.is_closing():
        writer.write(b"1000\r\n" + b" " * 4096 + b"\r\n")
        await writer.drain()


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
async def test_trouble_is_told_and_not_retried(
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


@pytest.mark.parametrize("large", [reply(200, b"x" * 1001), endless])
async def test_no_more_is_read_than_may_be(
    large: bytes | Behaviour, receiver: Receiver, images: Images
) -> None:
    """Whether its length is told or not, a photo that is too large is not kept in memory."""
    receiver.answers.append(large)
    with pytest.raises(JobFailed, match="MAX_IMAGE_BYTES is 1000") as raised:
        await images.fetch(PHOTO)
    assert raised.value.code == "image_too_large"


async def test_what_may_not_be_read_is_not_asked_for(receiver: Receiver, images: Images) -> None:
    """A step out of the bucket never reaches S3, or a proxy before it."""
    with pytest.raises(JobFailed) as raised:
        await images.fetch(ImageReference("uploads", "../private/1.jpg"))
    assert raised.value.code == "image_forbidden"
    assert receiver.requests == []


async def test_the_exit_does_not_wait_for_a_dead_s3(
    receiver: Receiver, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cancelled fetch leaves a daemon thread behind at most, and the loop turns meanwhile."""
    asked = asyncio.Event()

    async def dead(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await silence(reader, writer)

    receiver.answers.append(dead)
    fetch = asyncio.create_task(images.fetch(PHOTO))
    await asked.wait()
    fetch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetch


@pytest.mark.parametrize(
    ("name", "value"), [("S3_REGION", "not a region"), ("AWS_PROFILE", "nobody's")]
)
async def test_a_setting_that_no_client_can_be_made_of_is_named(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is found at the start, and not by the first job."""
    monkeypatch.setenv(name, value)
    with pytest.raises(StartError, match="S3_REGION or the AWS profile") as raised:
        async with Images(load(S3Settings), max_bytes=1, threads=1):
            pass
    assert raised.value.exit_code == 2
