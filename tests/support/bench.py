"""One test's line on the shared stack: a trivial model, photos, records, and real consumers."""

import asyncio
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer
from PIL import Image

from producer_tools.local.stack import UPLOAD_BUCKET, LocalStack
from tests.support.consumer_process import ConsumerProcess
from tests.support.line_names import LineNames, maskline
from tests.support.photos import saved
from tests.support.topics import TERMINAL_STATES, following

DEADLINE_SECONDS = 60.0


class Bench:
    """One test's line on the shared stack."""

    def __init__(self, stack: LocalStack, line: LineNames, folder: Path) -> None:
        self.stack = stack
        self.line = line
        self.folder = folder
        self.bootstrap = stack.kafka.bootstrap_servers
        self.environment = {
            **stack.environment(),
            **line.environment(),
            "MODEL_FOLDER": str(folder),
            "QWEN_MODEL_PATH": "trivial.onnx",
        }
        self._consumers: list[ConsumerProcess] = []

    def maskline(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of `maskline` to its end."""
        return maskline(*arguments, environment=self.environment)

    def start(
        self, *options: str, module: str = "consumer", **settings: str | int
    ) -> ConsumerProcess:
        """Start a consumer with these settings beside the line's."""
        consumer = ConsumerProcess(
            f"{self.line.group}-consumer-{len(self._consumers)}",
            *options,
            folder=self.folder,
            environment={
                **self.environment,
                **{name: str(value) for name, value in settings.items()},
            },
            module=(module,),
        )
        self._consumers.append(consumer)
        return consumer

    def stop(self) -> None:
        """Kill what still runs."""
        for consumer in self._consumers:
            consumer.kill()

    def put_photo(self, name: str = "red.png", colour: str = "red") -> str:
        """Put a photo into the upload bucket; give its reference."""
        photo = saved(Image.new("RGB", (64, 96), colour))
        client = self.stack.s3.client()
        client.put_object(Bucket=UPLOAD_BUCKET, Key=name, Body=photo)
        client.close()
        return f"s3://{UPLOAD_BUCKET}/{name}"

    async def send(self, topic: str, key: str, value: dict[str, Any] | bytes | None) -> int:
        """Write a record; give its offset."""
        data = json.dumps(value).encode() if isinstance(value, dict) else value
        async with AIOKafkaProducer(bootstrap_servers=self.bootstrap) as producer:
            written = await producer.send_and_wait(topic, data, key=key.encode())
        offset: int = written.offset
        return offset

    async def submit(self, job_id: str, image: str, **fields: Any) -> int:
        """Submit a job; give its offset."""
        job = {"job_id": job_id, "user_id": "u", "image": image, **fields}
        return await self.send(self.line.jobs, job_id, job)

    async def terminal_events(self, count: int) -> list[dict[str, Any]]:
        """Read the status topic as a subscriber does, until there are `count` terminal events."""
        return await self._events(count, lambda event: event["state"] in TERMINAL_STATES)

    async def event(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Read the status topic until there is an event as wanted; give it."""
        return (await self._events(1, wanted))[0]

    async def _events(
        self, count: int, wanted: Callable[[dict[str, Any]], bool]
    ) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        try:
            async with (
                asyncio.timeout(DEADLINE_SECONDS),
                following(self.bootstrap, self.line.status) as records,
            ):
                async for record in records:
                    if wanted(event := record.json()):
                        found.append(event)
                    if len(found) == count:
                        return found
        except TimeoutError:
            pass
        logs = "\n".join(consumer.log.read_text() for consumer in self._consumers)
        raise AssertionError(f"{len(found)} of {count} events: {found}\n{logs}")
