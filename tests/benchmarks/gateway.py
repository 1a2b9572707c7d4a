"""Submits and status calls a second through the gateway, stack and load on one machine.

20 callers submit photos of 200 kB, each one a second, while status calls come at a fixed pace over
connections of their own. The consumer works with the trivial model, so that the line keeps up; S3
is versitygw.
"""

import asyncio
import json
import random
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import psutil
from rich.console import Console

from consumer.kafka import topics
from consumer.settings import KafkaSettings
from producer_tools.local import ports
from producer_tools.local.consumer_process import ConsumerProcess
from producer_tools.local.gateway_process import GatewayProcess
from producer_tools.local.stack import LocalStack
from tests.benchmarks.tables import show
from tests.laboratory.versitygw import VersityGw
from tests.support.models import TRIVIAL, write_trivial_body_model
from tests.support.photos import saved

CALLERS = 20
SUBMITS_A_SECOND = 22
STATUS_CALLS_A_SECOND = 300
STATUS_CONNECTIONS = 30
SECONDS = 20
PHOTO_BYTES = 200_000
_LEAD_SECONDS = 2
"""So much earlier submits begin, so that there are jobs to ask for."""


class _VersityStack(LocalStack):
    """The local stack with an S3 that costs less processor time than moto's."""

    def __init__(self, *, folder: Path) -> None:
        console = Console(stderr=True)
        super().__init__(masks_in_memory=True, folder=folder, console=console)
        self.s3 = VersityGw(console=console, folder=folder / "s3")


class Caller:
    """One connection that is used again and again."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def call(self, request: bytes) -> tuple[int, bytes, float]:
        """Send a request, and return the status, the body and the seconds."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(ports.HOST, self._port)
        reader, writer = self._streams
        begun = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        body = await reader.readexactly(length)
        return int(head.split(b" ", 2)[1]), body, time.perf_counter() - begun

    def close(self) -> None:
        """Close it."""
        if self._streams is not None:
            self._streams[1].close()


def measure() -> None:
    """Run the load, and print the table."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as started:
        folder = Path(name)
        write_trivial_body_model(folder)
        stack = started.enter_context(_VersityStack(folder=folder / "stack"))
        settings = {
            **stack.environment(),
            "QUEUE_MAX_SIZE": "100000",
            "MODEL_FOLDER": str(folder),
            "QWEN_MODEL_PATH": f"{TRIVIAL}.onnx",
        }
        servers = stack.kafka.bootstrap_servers
        asyncio.run(topics.create(KafkaSettings.model_construct(kafka_bootstrap_servers=servers)))
        started.enter_context(ConsumerProcess(settings))
        gateway = started.enter_context(GatewayProcess(settings))
        process = psutil.Process(gateway.child.pid)
        before = process.cpu_times()
        submits, calls = asyncio.run(_load(gateway.port))
        spent = process.cpu_times()
    cpu = spent.user + spent.system - before.user - before.system
    show(
        f"The gateway for {SECONDS} s",
        ("call", "a second", "median ms", "95 % ms", "not 200"),
        [
            _row("submit of 200 kB", submits, SECONDS + _LEAD_SECONDS),
            _row("status", calls, SECONDS),
        ],
        note=f"the gateway's processor time: {cpu:.1f} s, {cpu / SECONDS:.0%} of a core",
    )


async def _load(port: int) -> tuple[list[tuple[int, float]], list[tuple[int, float]]]:
    """Submit and ask at a fixed pace; return the answers' statuses and seconds."""
    jobs: list[str] = []
    submits: list[tuple[int, float]] = []
    calls: list[tuple[int, float]] = []
    request = _submit()

    async def submit(number: int) -> None:
        caller = Caller(port)
        due = time.perf_counter() + number / SUBMITS_A_SECOND
        while due < end:
            await asyncio.sleep(due - time.perf_counter())
            status, body, seconds = await caller.call(request)
            submits.append((status, seconds))
            if status == 200:
                jobs.append(json.loads(body)["job_id"])
            due += CALLERS / SUBMITS_A_SECOND
        caller.close()

    async def ask(number: int) -> None:
        caller = Caller(port)
        due = time.perf_counter() + _LEAD_SECONDS + number / STATUS_CALLS_A_SECOND
        while due < end:
            await asyncio.sleep(due - time.perf_counter())
            job = random.choice(jobs)
            path = f"GET /api/v1/status/{job} HTTP/1.1\r\nHost: x\r\n\r\n"
            status, _, seconds = await caller.call(path.encode())
            calls.append((status, seconds))
            due += STATUS_CONNECTIONS / STATUS_CALLS_A_SECOND
        caller.close()

    end = time.perf_counter() + SECONDS + _LEAD_SECONDS
    async with asyncio.TaskGroup() as group:
        for number in range(CALLERS):
            group.create_task(submit(number))
        for number in range(STATUS_CONNECTIONS):
            group.create_task(ask(number))
    return submits, calls


def _row(name: str, answers: Sequence[tuple[int, float]], seconds: float) -> tuple[str, ...]:
    times = [1000 * each for _, each in answers]
    wrong = sum(status != 200 for status, _ in answers)
    return (
        name,
        f"{len(answers) / seconds:.1f}",
        f"{np.median(times):.1f}",
        f"{np.percentile(times, 95):.1f}",
        str(wrong),
    )


def _submit() -> bytes:
    """Return a submit of a photo of about 200 kB."""
    noise = np.random.default_rng(0).integers(0, 255, (540, 540, 3), np.uint8)
    photo = saved(noise, "JPEG", quality=80)
    assert 0.8 < len(photo) / PHOTO_BYTES < 1.3, len(photo)
    body = (
        b'--b\r\nContent-Disposition: form-data; name="instruction"\r\n\r\nx\r\n'
        b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'
        + photo
        + b"\r\n--b--\r\n"
    )
    head = (
        "POST /api/v1/submit HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b"
        f"\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
