"""A line with a gateway before it, and what tests of the gateway write to its topics."""

import asyncio
import json
import ssl
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
from aiokafka import AIOKafkaProducer

from consumer.kafka import topics
from consumer.settings import KafkaSettings
from producer_tools.local import ports
from producer_tools.local.gateway_process import GatewayProcess
from producer_tools.local.stack import LocalStack
from schemas.status import Result, Source, State, StatusEvent
from tests.support.line_names import LineNames
from tests.support.photos import saved, stripes

PHOTO = saved(stripes(), "JPEG")
SMALL_QUEUE = 10
WAIT_SECONDS = 60.0
KEYS = ("first-key", "second-key")
ORIGIN = "http://shop.example"
PAGE_PORT = ports.choose("page", setting="PAGE_PORT")
"""Where a page of another origin is."""
_TLS = ssl.create_default_context()  # made once, since that takes a while


@dataclass
class Line:
    """A line's names, where its Kafka is, and a gateway before it."""

    stack: LocalStack
    names: LineNames
    gateway: GatewayProcess
    environment: dict[str, str]

    @property
    def url(self) -> str:
        """The gateway's base URL."""
        return self.gateway.url

    def client(self, **options: Any) -> httpx.Client:
        """A client of the gateway."""
        return httpx.Client(base_url=self.url, timeout=60, verify=_TLS, trust_env=False, **options)

    def write(self, topic: str, values: Sequence[tuple[str, bytes]]) -> list[int]:
        """Write records, and return their offsets."""

        async def send() -> list[int]:
            servers = self.stack.kafka.bootstrap_servers
            async with AIOKafkaProducer(bootstrap_servers=servers) as producer:
                sent = [
                    await producer.send(topic, value, key=key.encode()) for key, value in values
                ]
                return [(await each).offset for each in sent]

        return asyncio.run(send())

    def event(self, state: State, offset: int, job_id: str, **fields: Any) -> tuple[str, bytes]:
        """Return an event of the record at `offset`, as the consumer writes it."""
        result = Result(stored_keys={"upper_body_mask": "minio://masks/a"}, width=2, height=3)
        event = StatusEvent(
            event_id=str(uuid.uuid4()),
            job_id=job_id,
            user_id="u",
            provider="qwen",
            state=state,
            occurred_at=fields.pop("occurred_at", datetime.now(UTC)),
            source=Source(topic=self.names.jobs, partition=0, offset=offset),
            worker="w",
            result=fields.pop("result", result) if state == "completed" else None,
            **fields,
        )
        return job_id, event.write()

    def empty(self) -> None:
        """Let the line have settled all that waits."""
        with self.client() as client:
            end = self.write(self.names.jobs, [("last", _job("last"))])[0]
            self.write(self.names.status, [self.event("completed", end, "last")])
            until(lambda: client.get("/api/v1/queue").json()["queue_size"] == 0)


def until(happened: Any, *, seconds: float = WAIT_SECONDS) -> Any:
    """Wait until something is so, and return it."""
    end = time.monotonic() + seconds
    while not (found := happened()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds:g} s")
        time.sleep(0.02)
    return found


def _job(job_id: str) -> bytes:
    return json.dumps({"job_id": job_id, "user_id": "u", "image": "s3://b/k"}).encode()


def new_line(stack: LocalStack, **settings: str) -> tuple[LineNames, dict[str, str]]:
    """Make the topics of a line, and return its names and its settings."""
    names = LineNames.fresh()
    environment = {**stack.environment(), **names.environment(), **settings}
    kafka = KafkaSettings.model_construct(
        kafka_bootstrap_servers=stack.kafka.bootstrap_servers,
        jobs_topic=names.jobs,
        status_topic=names.status,
        dead_letter_topic=names.dead_letters,
        control_topic=names.control,
        consumer_group=names.group,
    )
    asyncio.run(topics.create(kafka))
    return names, environment
