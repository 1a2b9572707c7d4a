"""Callers that send too much, too slowly, half a request, or what should hurt a path or a page."""

import asyncio
import json
import struct
import time
import uuid
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import httpx
import psutil
import pytest

from schemas.status import Result
from tests.support.gateway_line import KEYS, PHOTO, Line, until
from tests.support.photos import saved, stripes

pytestmark = pytest.mark.integration

MEGABYTE = 1_048_576
HEAD = (
    "POST /api/v1/submit HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n"
)
PART = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n\xff\xd8\xff'
MARKUP = "<script>alert(1)</script>"


def submit(client: httpx.Client, name: str = "a.jpg", **sent: Any) -> httpx.Response:
    files = {"image": (name, sent.pop("photo", PHOTO))}
    data = {"instruction": "x", **sent.pop("data", {})}
    return client.post("/api/v1/submit", files=files, data=data, **sent)


@pytest.mark.parametrize("key", [KEYS[0], ""])
def test_eleven_megabytes_get_their_answer(still: Line, second: Line, key: str) -> None:
    """With a key and without: the caller that sends it all sees why it was refused."""
    del still
    wanted = 400 if key else 401
    photo = b"\xff\xd8\xff" + bytes(11 * MEGABYTE)
    with second.client(headers={"X-API-Key": key}) as client:
        assert submit(client, photo=photo).status_code == wanted

        def chunks() -> Any:
            yield PART
            for _ in range(11):
                yield bytes(MEGABYTE)

        headers = {"Content-Type": "multipart/form-data; boundary=b"}
        answer = client.post("/api/v1/submit", content=chunks(), headers=headers)
        assert answer.status_code == wanted
        if key:
            wanted_words = "Image too large (more than 10MB). Maximum 10MB allowed."
            assert answer.json() == {"detail": wanted_words}


@pytest.mark.parametrize("key", [KEYS[0], ""])
async def test_an_endless_body_is_ended(second: Line, key: str) -> None:
    """It is read on for a while, then the connection ends, whatever comes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", second.gateway.port)
    chunk = b"40000\r\n" + bytes(0x40000) + b"\r\n"
    head = f"{HEAD}X-API-Key: {key}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    sent = 0
    writer.write(head + b"%x\r\n%s\r\n" % (len(PART), PART))
    async with asyncio.timeout(40):
        with suppress(OSError):
            while not reader.at_eof():
                writer.write(chunk)
                await writer.drain()
                sent += len(chunk)
    assert sent < 80 * MEGABYTE
    writer.close()


async def test_what_stalls_is_closed_after_ten_seconds(second: Line) -> None:
    """Half a line, half a head, half a body with a key and without, all at the same time."""
    begins = (
        "POST /api/v1/sub",
        "GET /livez HTTP/1.1\r\nHost: x\r\nX-A: ",
        *(f"{HEAD}Content-Length: 5000\r\nX-API-Key: {key}\r\n\r\n--b" for key in (KEYS[0], "")),
    )
    assert all(
        8 <= each <= 25 for each in await asyncio.gather(*(_life(second, b) for b in begins))
    )


async def _life(line: Line, begin: str) -> float:
    """Send the begin of a request, and return after how many seconds the connection ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", line.gateway.port)
    writer.write(begin.encode())
    begun = time.monotonic()
    async with asyncio.timeout(40):
        with suppress(ConnectionResetError):
            await reader.read()
    writer.close()
    return time.monotonic() - begun


def test_fifty_uploads_of_ten_megabytes_stay_on_the_disk(still: Line) -> None:
    """They add less than 150 MiB of memory; the queue takes ten of them."""
    process = psutil.Process(still.gateway.child.pid)
    photo = saved(stripes(), "PNG")
    photo += bytes(10 * MEGABYTE - len(photo) - 4096)
    before = process.memory_info().rss
    most = before

    def send(_: int) -> int:
        with still.client() as client:
            return submit(client, photo=photo).status_code

    with ThreadPoolExecutor(50) as callers:
        sending = [callers.submit(send, index) for index in range(50)]
        while not all(each.done() for each in sending):
            most = max(most, process.memory_info().rss)
            time.sleep(0.05)
    assert {each.result() for each in sending} <= {200, 429}
    assert [each.result() for each in sending].count(200) == 10
    assert most - before < 150 * MEGABYTE


def test_names_and_texts_hurt_nothing(still: Line, running: Line) -> None:
    """They come back as they are, in JSON alone; the page and the log have nothing of them."""
    name = f"../../{MARKUP}\\n.jpg"
    headers = {"X-User-Id": f"../{MARKUP}"}
    with still.client(headers=headers) as client:
        answer = submit(client, name, data={"instruction": f"\0../{MARKUP}"})
        job = client.get(f"/api/v1/status/{answer.json()['job_id']}")
        assert job.json()["instruction"] == f"\0../{MARKUP}"
        assert job.headers["content-type"] == "application/json"
        assert job.headers["x-content-type-options"] == "nosniff"
        assert MARKUP not in client.get("/").text
        assert submit(client, data={"instruction": "x" * MEGABYTE}).status_code == 400
        assert submit(client, "n" * MEGABYTE).status_code == 400
        assert client.get(f"/queue/job/{'x' * 30_000}").status_code == 404
        for path in ("/page/../server.py", "/page/%2e%2e/server.py", "/page//etc/passwd"):
            assert client.get(path).status_code == 404
        assert client.get("/").headers["content-security-policy"].startswith("default-src 'none'")
        odd = client.get(f"/queue/job/%00{MARKUP}%0a")
        assert odd.status_code == 404
    assert MARKUP not in still.gateway.log.read_text()
    with running.client() as client:
        assert client.get("/readyz").status_code == 200


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("http://127.0.0.1:1/secret", "no s3:// or minio://"),
        ("https://example.org/x.png", "no s3:// or minio://"),
        ("s3://other-bucket/a.png", "in no bucket of RESULT_BUCKETS"),
        ("s3://mask-assets/../mask-uploads/a", "in no bucket of RESULT_BUCKETS"),
        ("s3://mask-assets/nothing-there", "isn't there any more"),
    ],
)
def test_stored_keys_that_point_elsewhere_are_not_followed(
    still: Line, key: str, words: str
) -> None:
    """404 that says why."""
    job = uuid.uuid4().hex
    record = json.dumps({"job_id": job, "user_id": "u", "image": "s3://other/a"}).encode()
    (offset,) = still.write(still.names.jobs, [(job, record)])
    result = Result(stored_keys={"upper_body_mask": key}, width=2, height=3)
    still.write(still.names.status, [still.event("completed", offset, job, result=result)])
    with still.client() as client:
        until(lambda: client.get(f"/queue/job/{job}").json().get("status") == "completed")
        answer = client.get(f"/api/v1/jobs/{job}/result")
        assert answer.status_code == 404
        assert words in answer.json()["detail"]
        assert client.get(f"/api/v1/jobs/{job}/preview").status_code == 404


def test_a_bomb_makes_no_preview(still: Line) -> None:
    """A PNG of 20,000 x 20,000 pixels in a few bytes."""
    bomb = _png_header(20_000, 20_000)
    with still.client() as client:
        assert submit(client, photo=bomb).status_code == 400
        answer = client.post("/queue/submit", files=[("images", ("bomb.png", bomb))])
        job = answer.json()["job_id"]
        preview = client.get(f"/api/v1/jobs/{job}/preview")
        assert preview.status_code == 404
        assert "no preview" in preview.json()["detail"]


async def test_two_thousand_connections_leave_others_served(still: Line) -> None:
    """Idle ones and half requests: the oldest make room."""
    opened: list[asyncio.StreamWriter] = []
    try:
        for index in range(2000):
            _, writer = await asyncio.open_connection("127.0.0.1", still.gateway.port)
            opened.append(writer)
            if index % 2:
                writer.write(b"POST /api/v1/submit HTTP/1.1\r\nHost: x\r\nX-A: ")
            if index % 400 == 399:
                answer = await asyncio.to_thread(_ask, still, "/livez")
                assert answer == 200
        assert await asyncio.to_thread(_ask, still, "/api/v1/queue") == 200
    finally:
        for writer in opened:
            writer.transport.abort()
    process = psutil.Process(still.gateway.child.pid)
    assert process.num_fds() <= 1200


def _ask(line: Line, path: str) -> int:
    with line.client() as client:
        return client.get(path).status_code


def _png_header(width: int, height: int) -> bytes:
    """A PNG's begin that announces a size."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(1000))

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )
