"""A gateway whose disk is really full: 507 in time, nothing half done, back by itself."""

import socket
from collections.abc import Iterator

import httpx
import pytest

from producer_tools.gateway.spool import SPARE_BYTES
from producer_tools.local.gateway_process import GatewayProcess
from tests.support.gateway_line import PHOTO, Line, until
from tests.support.small_disk import SmallDisk, small_disk

pytestmark = pytest.mark.integration

MEBIBYTE = 1024 * 1024
DISK_BYTES = 192 * MEBIBYTE
FILES = 3
FILE_BYTES = 8 * MEBIBYTE


@pytest.fixture(scope="module")
def mounted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallDisk]:
    """A disk for uploads and for the view."""
    folder = tmp_path_factory.mktemp("disk") / "small"
    with small_disk(folder, size=DISK_BYTES) as disk:
        yield disk


@pytest.fixture(scope="module")
def poor(stopped: Line, mounted: SmallDisk) -> Iterator[Line]:
    """A gateway with that disk, before the line without a consumer."""
    settings = {
        **stopped.environment,
        "TEMP_FOLDER": str(mounted.folder),
        "VIEW_FILE": str(mounted.folder / "view" / "view.db"),
    }
    with GatewayProcess(settings) as gateway:
        yield Line(stopped.stack, stopped.names, gateway, settings)


@pytest.fixture
def disk(still: Line, poor: Line, mounted: SmallDisk) -> Iterator[SmallDisk]:
    """The disk, with room; the queue is empty, and the gateway is ready."""
    mounted.clear()
    with poor.client() as client:
        until(lambda: client.get("/readyz").status_code == 200)
        until(lambda: client.get("/api/v1/queue").json()["queue_size"] == 0)
    yield mounted
    mounted.clear()


def submit(client: httpx.Client) -> httpx.Response:
    files = {"image": ("input.jpg", PHOTO)}
    return client.post("/api/v1/submit", files=files, data={"instruction": "x"})


def batch(client: httpx.Client) -> httpx.Response:
    photo = PHOTO + b"\0" * (FILE_BYTES - len(PHOTO))
    return client.post(
        "/queue/submit", files=[("images", (f"{n}.jpg", photo)) for n in range(FILES)]
    )


def queued(client: httpx.Client) -> int:
    return int(client.get("/api/v1/queue").json()["queue_size"])


def test_uploads_are_refused_before_the_disk_is_full(poor: Line, disk: SmallDisk) -> None:
    """507 while what is spared is still free; the view goes on; then all is as before."""
    with poor.client() as client:
        assert batch(client).status_code == 200
        disk.leave(SPARE_BYTES + 2 * FILE_BYTES)
        before = disk.free
        refused = batch(client)
        assert refused.status_code == 507
        assert f"TEMP_FOLDER={disk.folder}" in refused.json()["detail"]
        assert int(refused.headers["retry-after"]) > 0
        assert submit(client).status_code == 200  # a small one has room
        assert before - MEBIBYTE < disk.free  # the view alone has taken some
        disk.leave(SPARE_BYTES - MEBIBYTE)
        assert submit(client).status_code == 507
        assert queued(client) == FILES + 1
        spool = client.get("/readyz").json()["checks"]["spool"]
        assert (spool["ok"], "is full" in spool["detail"]) == (False, True)
        disk.clear()
        until(lambda: client.get("/readyz").status_code == 200)
        assert batch(client).status_code == 200


def test_a_disk_that_fills_in_the_midst_of_a_batch(poor: Line, disk: SmallDisk) -> None:
    """507, none of its photos is queued, and its room is given back."""
    with poor.client() as client:
        request = client.build_request(
            "POST",
            "/queue/submit",
            files=[("images", (f"{n}.jpg", PHOTO + b"\0" * FILE_BYTES)) for n in range(FILES)],
        )
        body = request.read()
        head = (
            "POST /queue/submit HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            f"Content-Type: {request.headers['content-type']}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        free = disk.free
        with socket.create_connection(("127.0.0.1", poor.gateway.port), 30) as caller:
            caller.sendall(head.encode() + body[: len(body) // 2])
            until(lambda: free - disk.free > FILE_BYTES)  # the first file is there
            disk.fill()
            caller.sendall(body[len(body) // 2 :])
            answer = b""
            while piece := caller.recv(65536):
                answer += piece
        assert answer.startswith(b"HTTP/1.1 507 "), answer[:300]
        assert b"No space left on device" in answer
        disk.clear()
        until(lambda: client.get("/readyz").status_code == 200)
        until(lambda: free - disk.free < MEBIBYTE)  # the spooled files are gone
        assert queued(client) == 0
        assert batch(client).status_code == 200


def test_a_view_without_room(still: Line, poor: Line, disk: SmallDisk) -> None:
    """One sentence, 507 for everybody, no wrong answer; with room it has all again by itself."""
    with still.client() as rich, poor.client() as client:
        disk.fill()
        jobs = [submit(rich).json()["job_id"] for _ in range(2)]
        until(lambda: client.get(f"/api/v1/status/{jobs[0]}").status_code == 507)
        for path in (f"/api/v1/status/{jobs[0]}", "/api/v1/status/nope", "/api/v1/queue"):
            refused = client.get(path)
            assert refused.status_code == 507
            assert "no room for VIEW_FILE" in refused.json()["detail"]
        assert submit(client).status_code == 507
        view = client.get("/readyz").json()["checks"]["view"]
        assert (view["ok"], "no room for VIEW_FILE" in view["detail"]) == (False, True)
        assert client.get("/livez").status_code == 200
        disk.clear()
        until(lambda: client.get("/readyz").status_code == 200)
        assert [client.get(f"/api/v1/status/{job}").json()["position"] for job in jobs] == [1, 2]
        assert queued(client) == 2
