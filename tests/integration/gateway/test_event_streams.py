"""Event streams: all jobs' and one job's, after a break, many at once, some of which don't read."""

import asyncio
import json
import socket
import uuid
from collections.abc import Iterator

import httpx
import pytest

from tests.support.gateway_line import PHOTO, Line

pytestmark = pytest.mark.integration

STREAMS = 200
NOT_READING = 10
EVENTS = 30


def frames(response: httpx.Response) -> Iterator[dict[str, str]]:
    """Give the frames of a stream, comments too."""
    frame: dict[str, str] = {}
    for line in response.iter_lines():
        if line:
            name, _, value = line.partition(":")
            frame[name] = value.strip()
        else:
            yield frame
            frame = {}


def events(response: httpx.Response) -> Iterator[dict[str, str]]:
    """Give the events of a stream."""
    return filter(_is_event, frames(response))


def _is_event(frame: dict[str, str]) -> bool:
    return "data" in frame


def submit(client: httpx.Client) -> str:
    files = {"image": ("input.jpg", PHOTO)}
    answer = client.post("/api/v1/submit", files=files, data={"instruction": "x"})
    assert answer.status_code == 200
    job: str = answer.json()["job_id"]
    return job


def test_a_jobs_stream_ends_with_its_terminal_event(running: Line) -> None:
    """Each frame has the offset, the state and the event; asked again, the last one comes."""
    with running.client() as client:
        job = submit(client)
        with client.stream("GET", f"/api/v1/jobs/{job}/events") as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            seen = list(events(stream))
        assert seen[-1]["event"] == "completed"
        assert [each["event"] for each in seen] in (["processing", "completed"], ["completed"])
        assert {json.loads(each["data"])["job_id"] for each in seen} == {job}
        with client.stream("GET", f"/api/v1/jobs/{job}/events") as stream:
            assert list(events(stream)) == seen[-1:]
        last = {"Last-Event-ID": seen[-1]["id"]}
        with client.stream("GET", f"/api/v1/jobs/{job}/events", headers=last) as stream:
            assert list(events(stream)) == []


def test_a_stream_goes_on_after_a_break(running: Line) -> None:
    """With the last id, each later event comes once, from memory and from the topic."""
    with running.client() as client:
        with client.stream("GET", "/api/v1/events") as stream:
            coming = events(stream)
            jobs = [submit(client) for _ in range(3)]
            seen = [next(coming) for _ in range(6)]
        assert {json.loads(each["data"])["job_id"] for each in seen} == set(jobs)
        for start in (seen[0]["id"], "0"):
            headers = {"Last-Event-ID": start}
            with client.stream("GET", "/api/v1/events", headers=headers) as stream:
                found: list[dict[str, str]] = []
                for each in events(stream):
                    found.append(each)
                    if each["id"] == seen[-1]["id"]:
                        break
            assert found[-5:] == seen[1:]
        assert client.get("/api/v1/events", headers={"Last-Event-ID": "x"}).status_code == 400


def test_a_stopped_gateway_reads_old_events_from_the_topic(still: Line) -> None:
    """A gateway that has just begun to listen goes on from an id of before its start."""
    job = uuid.uuid4().hex
    record = json.dumps({"job_id": job, "user_id": "u", "image": "s3://b/k"}).encode()
    (offset,) = still.write(still.names.jobs, [(job, record)])
    sent = [still.event("processing", offset, job), still.event("completed", offset, job)]
    ids = still.write(still.names.status, sent)
    headers = {"Last-Event-ID": str(ids[0] - 1)}
    with still.client(headers=headers) as client, client.stream("GET", "/api/v1/events") as stream:
        coming = events(stream)
        assert [str(each) for each in ids] == [next(coming)["id"] for _ in ids]


async def test_two_hundred_streams_of_which_ten_do_not_read(still: Line) -> None:
    """The others get each event in order, and those ten are dropped in time."""
    idle = [_open_and_leave(still) for _ in range(NOT_READING)]
    job = uuid.uuid4().hex
    record = json.dumps({"job_id": job, "user_id": "u", "image": "s3://b/k"}).encode()
    (offset,) = await asyncio.to_thread(still.write, still.names.jobs, [(job, record)])
    streams = [await _open_stream(still) for _ in range(STREAMS - NOT_READING)]
    sent = [still.event("processing", offset, job) for _ in range(EVENTS)]
    ids = await asyncio.to_thread(still.write, still.names.status, sent)
    async with asyncio.timeout(60):
        found = await asyncio.gather(*(_read_ids(reader) for reader, _ in streams))
    assert all(each == ids for each in found)
    for _, writer in streams:
        writer.close()
    for each in idle:
        each.close()


async def _open_stream(line: Line) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a stream, and wait until it has begun."""
    reader, writer = await asyncio.open_connection("127.0.0.1", line.gateway.port)
    writer.write(b"GET /api/v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
    async with asyncio.timeout(30):
        while not (await reader.readline()).startswith(b": open"):
            pass
    return reader, writer


async def _read_ids(reader: asyncio.StreamReader) -> list[int]:
    """Read the ids of as many events as are sent."""
    ids: list[int] = []
    while len(ids) < EVENTS:
        line = await reader.readline()
        if line.startswith(b"id: "):
            ids.append(int(line.split()[1]))
    return ids


def _open_and_leave(line: Line) -> socket.socket:
    """Ask for a stream, and read nothing of it."""
    connection = socket.create_connection(("127.0.0.1", line.gateway.port))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    connection.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
    return connection
