"""What callers hear while Kafka or S3 is away; what is true after a gateway was killed."""

import asyncio
import json
import os
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from producer_tools.local.gateway_process import GatewayProcess
from producer_tools.local.stack import LocalStack
from tests.support.gateway_line import PHOTO, Line, new_line, until
from tests.support.models import TRIVIAL
from tests.support.topics import read_topic

pytestmark = pytest.mark.integration

LONGEST_ANSWER = 10.5
KILLS = int(os.environ.get("GATEWAY_KILLS", "3"))
"""20 take some minutes: `GATEWAY_KILLS=20 make test ARGS="-k killed_under_load"`."""


def submit(client: httpx.Client) -> httpx.Response:
    files = {"image": ("input.jpg", PHOTO)}
    return client.post("/api/v1/submit", files=files, data={"instruction": "x"})


def timed(client: httpx.Client, path: str) -> tuple[int, float]:
    """Ask, and return the status and the seconds."""
    begun = time.monotonic()
    answer = submit(client) if path == "submit" else client.get(path)
    return answer.status_code, time.monotonic() - begun


def test_while_kafka_is_away(still: Line) -> None:
    """503 within 10 s, no 404 and no place; then all is as before."""
    with still.client() as client, ThreadPoolExecutor(4) as callers:
        job = submit(client).json()["job_id"]
        still.stack.kafka.pause()
        try:
            paths = ("submit", "/api/v1/status/nope", "/queue/job/nope")
            answers = list(callers.map(lambda path: timed(client, path), paths))
            assert {status for status, _ in answers} == {503}
            assert max(seconds for _, seconds in answers) <= LONGEST_ANSWER
            until(lambda: client.get("/readyz").status_code == 503)
            refused = client.get(f"/api/v1/status/{job}")
            assert refused.status_code == 503
            assert int(refused.headers["retry-after"]) > 0
            assert client.get("/health").json()["status"] != "ok"
            assert client.get("/livez").status_code == 200
        finally:
            still.stack.kafka.resume()
        until(lambda: client.get("/readyz").status_code == 200)
        assert client.get(f"/api/v1/status/{job}").json()["position"] == 1
        assert submit(client).status_code == 200


def test_while_s3_is_away(still: Line) -> None:
    """503 within 10 s, and nothing is queued; reads go on."""
    with still.client() as client:
        still.stack.s3.down()
        try:
            status, seconds = timed(client, "submit")
            assert (status, seconds <= LONGEST_ANSWER) == (503, True)
            assert client.get("/api/v1/queue").json()["queue_size"] == 0
            until(lambda: client.get("/readyz").status_code == 503)
            assert client.get("/readyz?exclude=storage").status_code == 200
            assert submit(client).elapsed.total_seconds() < 2
        finally:
            still.stack.s3.up()
        until(lambda: client.get("/readyz").status_code == 200)
        assert submit(client).status_code == 200


@pytest.fixture
def mortal(stack: LocalStack, models: Path) -> Iterator[Line]:
    """A gateway of its own, that is killed."""
    names, environment = new_line(
        stack,
        QUEUE_MAX_SIZE="100000",
        MODEL_FOLDER=str(models),
        QWEN_MODEL_PATH=f"{TRIVIAL}.onnx",
    )
    with GatewayProcess(environment) as gateway:
        yield Line(stack, names, gateway, environment)


def test_a_gateway_killed_under_load(mortal: Line) -> None:
    """No answer of 200 is untrue, and of each batch there is all or nothing."""
    stop = False
    accepted: list[str] = []

    def load(number: int) -> None:
        with mortal.client() as client:
            while not stop:
                try:
                    if number % 2:
                        answer = submit(client)
                    else:
                        files = [("images", (f"{n}.jpg", PHOTO)) for n in range(3)]
                        answer = client.post("/queue/submit", files=files)
                except httpx.HTTPError:
                    time.sleep(0.05)
                    continue
                if answer.status_code == 200:
                    accepted.append(answer.json()["job_id"])

    with ThreadPoolExecutor(4) as callers:
        loads = [callers.submit(load, number) for number in range(4)]
        for _ in range(KILLS):
            count = len(accepted)
            until(lambda count=count: len(accepted) >= count + 5)
            mortal.gateway.kill()
            mortal.gateway.restart()
        stop = True
        for each in loads:
            each.result()
    servers = mortal.stack.kafka.bootstrap_servers
    records = asyncio.run(read_topic(servers, mortal.names.jobs))
    jobs = [json.loads(record.value or b"{}") for record in records]
    batches = Counter(job["batch"]["batch_id"] for job in jobs if job["batch"])
    assert set(batches.values()) == {3}
    there = {job["job_id"] for job in jobs} | set(batches)
    assert set(accepted) <= there
    with mortal.client() as client:
        last = [client.get(f"/queue/job/{each}").status_code for each in accepted[-20:]]
    assert set(last) == {200}
    _end_with_a_stream(mortal)


def _end_with_a_stream(line: Line) -> None:
    """SIGTERM ends a stream, and the gateway."""
    with socket.create_connection(("127.0.0.1", line.gateway.port), 30) as stream:
        stream.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
        read = b""
        while b": open" not in read:
            read += stream.recv(1000)
        line.gateway.child.signal(signal.SIGTERM)
        while stream.recv(1000):
            pass
    until(lambda: not line.gateway.child.running)
