"""What the gateway decides without a stack: who may call, forms, room on the disk, paces, names."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI, Request

from consumer.settings import KafkaSettings
from consumer.telemetry.tracing import NO_TRACING
from producer_tools.errors import DiskFullError
from producer_tools.gateway.access import Access
from producer_tools.gateway.form import Limits, read_form
from producer_tools.gateway.guard import Guard
from producer_tools.gateway.keeper import Keeper
from producer_tools.gateway.metrics import Metrics
from producer_tools.gateway.queue import seconds_per_record
from producer_tools.gateway.refusal import Refused
from producer_tools.gateway.sizes import duration, megabytes
from producer_tools.gateway.spool import SPARE_BYTES, Spool
from producer_tools.view.queries import Page, Queries
from producer_tools.view.rows import Row
from producer_tools.view.tables import Shown

LIMITS = Limits(file_field="image", files=1, file_bytes=1000, body_bytes=1000)


def make_app(folder: Path, *, limits: Limits = LIMITS, keys: tuple[str, ...] = ()) -> Guard:
    """A call that says what a form has, behind the guard."""
    app = FastAPI()
    spool = Spool(folder)

    async def read(request: Request) -> dict[str, Any]:
        async with read_form(request, spool, limits) as form:
            found = form.uploads
            contents = [upload.content for upload in found]
            for content in contents:
                content.seek(0)
            return {
                "texts": form.texts,
                "files": [(each.filename, each.size, each.sha256) for each in found],
                "begin": [content.read(5).decode() for content in contents],
            }

    async def refuse(_: Request, error: Exception) -> Any:
        assert isinstance(error, Refused)
        return error.response()

    app.add_api_route("/read", read, methods=["POST"])
    app.add_exception_handler(Refused, refuse)
    return Guard(app, access=Access(keys, ()), metrics=Metrics(), tracing=NO_TRACING, limit=1000)


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(make_app(tmp_path))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        yield client


async def test_a_form_is_read_and_leaves_no_file(client: httpx.AsyncClient, tmp_path: Path) -> None:
    sent = await client.post("/read", files={"image": ("ä.jpg", b"12345678")}, data={"a": "ö"})
    assert (sent.json()["texts"], sent.json()["begin"]) == ({"a": "ö"}, ["12345"])
    assert sent.json()["files"][0][:2] == ["ä.jpg", 8]
    assert not any(await asyncio.to_thread(os.listdir, tmp_path))


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ({"files": {"image": ("a", bytes(1001))}}, "more than 0MB"),
        ({"files": {"other": ("a", b"1")}}, "other than `image`"),
        ({"files": [("image", ("a", b"1")), ("image", ("b", b"2"))]}, "Maximum 1"),
        ({"json": {}}, "must be multipart/form-data"),
        ({"files": {f"n{n}": (None, "x") for n in range(51)}}, "more than 50 fields"),
        ({"files": {"a": (None, "x" * 70_000)}}, "texts have more"),
        ({"files": [("a", (None, "x")), ("a", (None, "y"))]}, "a field twice"),
        ({"files": {"a": (None, b"\xff")}}, "not UTF-8"),
        ({"files": {"image": ("a" * 10_000, b"1")}}, "can be read"),
    ],
)
async def test_forms_that_are_refused(
    client: httpx.AsyncClient, sent: dict[str, Any], words: str
) -> None:
    answer = await client.post("/read", **sent)
    assert answer.status_code == 400
    assert words in answer.json()["detail"]


async def test_an_incomplete_form_is_refused(client: httpx.AsyncClient) -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n123'
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = await client.post("/read", content=body, headers=headers)
    assert answer.status_code == 400


async def test_no_room_on_the_disk_is_507(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Before the disk is full: what others have reserved counts, too."""
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=SPARE_BYTES + 100))
    answer = await client.post("/read", files={"image": ("a", bytes(500))})
    assert (507, True) == (answer.status_code, "no room" in answer.json()["detail"])
    spool = Spool(tmp_path)
    with spool.reserve(60), pytest.raises(Refused), spool.reserve(60):
        pass
    with spool.reserve(60):
        pass


async def test_a_key_is_asked_for_before_the_body(tmp_path: Path) -> None:
    transport = httpx.ASGITransport(make_app(tmp_path, keys=("k",)))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        files = {"image": ("a", b"1")}
        assert (await client.post("/read", files=files)).status_code == 401
        answer = await client.post("/read", files=files, headers={"X-API-Key": "k"})
        assert answer.status_code == 200


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, True),
        ({"origin": "http://gateway:8003", "host": "gateway:8003"}, True),
        ({"origin": "https://gateway", "host": "gateway"}, True),
        ({"origin": "http://gateway.evil", "host": "gateway"}, False),
        ({"origin": "null", "host": "gateway"}, False),
        ({"origin": "https://shop.example", "host": "gateway"}, True),
        ({"origin": "https://SHOP.example", "sec-fetch-site": "cross-site"}, True),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "same-site"}, False),
        ({"sec-fetch-site": "same-origin", "origin": "https://outside", "host": "in"}, True),
        ({"sec-fetch-site": "none"}, True),
    ],
)
def test_posts_of_pages(headers: dict[str, str], allowed: bool) -> None:
    access = Access((), ("https://shop.example",))
    access.check("GET", "/queue/jobs", headers)
    if allowed:
        access.check("POST", "/queue/submit", headers)
    else:
        with pytest.raises(Refused):
            access.check("POST", "/queue/submit", headers)


def test_sizes_and_durations_in_words() -> None:
    assert [megabytes(10 * 1_048_576), megabytes(15_938_355)] == ["10MB", "15.2MB"]
    found = [duration(each) for each in (3600, 7200, 60, 90, 1, 0)]
    assert found == ["1 hour", "2 hours", "1 minute", "90 seconds", "1 second", "0 seconds"]


def test_a_view_without_room_is_507(tmp_path: Path) -> None:
    """One that is only behind is 503; both say it, and when to come again."""
    keeper = Keeper(KafkaSettings.model_construct(), tmp_path / "view.db")
    with pytest.raises(Refused) as behind:
        keeper.check()
    keeper._note(DiskFullError("There is no room for VIEW_FILE"))
    with pytest.raises(Refused) as full:
        keeper.check()
    assert (503, 507) == (behind.value.status, full.value.status)
    assert full.value.response().headers["retry-after"]
    assert "VIEW_FILE" in full.value.detail


@pytest.mark.parametrize(
    ("ends", "each"),
    [
        ([(0, 1000), (0, 2000), (0, 3000)], 1.0),
        ([(0, 1000), (5000, 6000)], 1.0),  # between the two there was nothing to do
        ([], None),
    ],
)
def test_the_pace_leaves_out_idle_time(ends: list[tuple[int, int]], each: float | None) -> None:
    class Ended:
        def page(self, _states: object, *, limit: int) -> Page:
            rows = [
                Row(
                    *(offset, offset, Shown.COMPLETED, True, False, False, "j", "u", None, None),
                    *(record_ms, None, record_ms, ended_ms, 1, None, None),
                )
                for offset, (record_ms, ended_ms) in enumerate(ends)
            ]
            return Page(len(rows), rows[::-1][:limit])

    assert seconds_per_record(cast("Queries", Ended()), now=lambda: 10.0) == each
