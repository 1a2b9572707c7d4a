"""A line of its own for each test: topics, a trivial model, photos, and a real consumer."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from PIL import Image

from producer_tools.local import ports
from producer_tools.local.stack import UPLOAD_BUCKET, LocalStack
from tests.integration.conftest import Line
from tests.support.models import write_trivial_body_model

DEADLINE_SECONDS = 60.0
TERMINAL = ("completed", "failed", "cancelled")


@dataclass
class Consumer:
    """A `maskline consume` process and its health port."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def get(self, path: str) -> httpx.Response:
        """Ask its health port."""
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=5)

    def wait_until(self, says: Callable[[], bool]) -> None:
        """Wait until it says so, or fail with its log."""
        end = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < end:
            assert self.process.poll() is None, self.log.read_text()
            try:
                if says():
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.05)
        raise AssertionError(f"it never said so:\n{self.log.read_text()}")

    def wait_ready(self) -> None:
        """Wait until it is ready."""
        self.wait_until(lambda: self.get("/readyz").status_code == 200)

    def wait_not_ready(self, because: str) -> None:
        """Wait until it is not ready, for a reason that has these words in it."""
        self.wait_until(
            lambda: (answer := self.get("/readyz")).status_code == 503 and because in answer.text
        )

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send the signal and wait for its end."""
        self.process.send_signal(number)
        return self.process.wait(DEADLINE_SECONDS)


class Bench:
    """One test's line on the shared stack."""

    def __init__(self, stack: LocalStack, line: Line, folder: Path) -> None:
        self.stack = stack
        self.line = line
        self.folder = folder
        self.environment = {
            **os.environ,
            **stack.environment(),
            **line.environment(),
            "MODEL_FOLDER": str(folder),
            "QWEN_MODEL_PATH": "trivial.onnx",
            "HOST": "127.0.0.1",
        }
        self._consumers: list[Consumer] = []

    def maskline(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a verb to its end."""
        command = [sys.executable, "-m", "producer_tools", *arguments]
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=60, check=False
        )

    def start(self, *arguments: str, module: str = "consumer", **settings: str | int) -> Consumer:
        """Start a consumer with these settings beside the line's."""
        port = ports.choose("the consumer", setting="HEALTH_PORT")
        log = self.folder / f"consumer-{port}.log"
        environment = {name: str(value) for name, value in settings.items()}
        with log.open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                env={**self.environment, "HEALTH_PORT": str(port), **environment},
                stderr=stderr,
            )
        consumer = Consumer(process, port, log)
        self._consumers.append(consumer)
        return consumer

    def stop(self) -> None:
        """Kill what still runs."""
        for consumer in self._consumers:
            if consumer.process.poll() is None:
                consumer.process.kill()
                consumer.process.wait()

    def put_photo(self, name: str = "red.png", colour: str = "red") -> str:
        """Put a photo into the upload bucket; give its reference."""
        picture = BytesIO()
        Image.new("RGB", (64, 96), colour).save(picture, "PNG")
        client = self.stack.s3.client()
        client.put_object(Bucket=UPLOAD_BUCKET, Key=name, Body=picture.getvalue())
        client.close()
        return f"s3://{UPLOAD_BUCKET}/{name}"

    async def send(self, topic: str, key: str, value: dict[str, Any] | bytes | None) -> int:
        """Write a record; give its offset."""
        data = json.dumps(value).encode() if isinstance(value, dict) else value
        producer = AIOKafkaProducer(bootstrap_servers=self.stack.kafka.bootstrap_servers)
        async with producer:
            written = await producer.send_and_wait(topic, data, key=key.encode())
        offset: int = written.offset
        return offset

    async def submit(self, job_id: str, image: str, **fields: Any) -> int:
        """Submit a job; give its offset."""
        job = {"job_id": job_id, "user_id": "u", "image": image, **fields}
        return await self.send(self.line.jobs, job_id, job)

    async def terminal_events(self, count: int) -> list[dict[str, Any]]:
        """Read the status topic as a subscriber does, until there are `count` terminal events."""
        return await self._events(count, lambda event: event["state"] in TERMINAL)

    async def events_until(self, says: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Read the status topic until an event is as told; give it."""
        return (await self._events(1, says))[0]

    async def _events(
        self, count: int, wanted: Callable[[dict[str, Any]], bool]
    ) -> list[dict[str, Any]]:
        partition = TopicPartition(self.line.status, 0)
        reader = AIOKafkaConsumer(
            bootstrap_servers=self.stack.kafka.bootstrap_servers,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )
        found: list[dict[str, Any]] = []
        end = time.monotonic() + DEADLINE_SECONDS
        async with reader:
            reader.assign([partition])
            await reader.seek_to_beginning(partition)
            while len(found) < count and time.monotonic() < end:
                for records in (await reader.getmany(timeout_ms=200)).values():
                    events = [json.loads(record.value) for record in records]
                    found += [event for event in events if wanted(event)]
        assert len(found) == count, f"{found}\n{self._logs()}"
        return found

    def _logs(self) -> str:
        return "\n".join(consumer.log.read_text() for consumer in self._consumers)


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the trivial model."""
    folder = tmp_path_factory.mktemp("models")
    write_trivial_body_model(folder)
    return folder


@pytest.fixture
def bare_bench(behaving_stack: LocalStack, line: Line, model_folder: Path) -> Iterator[Bench]:
    """A line whose topics don't exist yet."""
    bench = Bench(behaving_stack, line, model_folder)
    yield bench
    bench.stop()


@pytest.fixture
async def bench(bare_bench: Bench) -> Bench:
    """A line with its topics."""
    made = bare_bench.maskline("topics", "create")
    assert made.returncode == 0, made.stderr
    return bare_bench
