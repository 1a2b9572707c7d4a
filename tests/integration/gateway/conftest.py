"""Two gateways for the whole session: before a line that stands still, and before one that runs."""

import asyncio
import json
import ssl
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from aiokafka import AIOKafkaProducer
from onnx import helper

from consumer.kafka import topics
from consumer.settings import KafkaSettings
from producer_tools.local import ports
from producer_tools.local.consumer_process import ConsumerProcess
from producer_tools.local.gateway_process import GatewayProcess
from producer_tools.local.stack import LocalStack
from schemas.status import Result, Source, State, StatusEvent
from tests.support.line_names import LineNames
from tests.support.models import TRIVIAL, write_network, write_trivial_body_model
from tests.support.photos import saved, stripes

PHOTO = saved(stripes(), "JPEG")
SMALL_QUEUE = 10
WAIT_SECONDS = 60.0
SIDE = 320
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


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the trivial model, and a stand-in of u2net with its true shapes."""
    folder = tmp_path_factory.mktemp("models")
    write_trivial_body_model(folder)
    write_network(
        folder / "u2net.onnx",
        nodes=[
            helper.make_node("Conv", ["photo", "weight"], ["mean"]),
            helper.make_node("Sigmoid", ["mean"], ["d0"]),
        ],
        weights={"weight": np.ones((1, 3, 1, 1), np.float32)},
        photo=(1, 3, SIDE, SIDE),
        outputs={"d0": (1, 1, SIDE, SIDE)},
    )
    return folder


@pytest.fixture(scope="session")
def stopped(stack: LocalStack, models: Path) -> Iterator[Line]:
    """A line without a consumer, whose queue holds 10."""
    names, environment = new_line(
        stack,
        QUEUE_MAX_SIZE=str(SMALL_QUEUE),
        MODEL_FOLDER=str(models),
        QWEN_MODEL_PATH=f"{TRIVIAL}.onnx",
    )
    with GatewayProcess(environment) as gateway:
        yield Line(stack, names, gateway, environment)


@pytest.fixture
def still(stopped: Line) -> Line:
    """The line without a consumer, its queue empty."""
    stopped.empty()
    return stopped


@pytest.fixture(scope="session")
def running(stack: LocalStack, models: Path) -> Iterator[Line]:
    """A line with a consumer and trivial models."""
    names, environment = new_line(
        stack,
        QUEUE_MAX_SIZE="1000",
        CORS_ALLOWED_ORIGINS=f"http://localhost:{PAGE_PORT}",
        MODEL_FOLDER=str(models),
        QWEN_MODEL_PATH=f"{TRIVIAL}.onnx",
    )
    with ExitStack() as started:
        gateway = started.enter_context(GatewayProcess(environment))
        started.enter_context(ConsumerProcess(environment))
        yield Line(stack, names, gateway, environment)


KEYS = ("first-key", "second-key")
ORIGIN = "http://shop.example"


@pytest.fixture(scope="session")
def second(stopped: Line) -> Iterator[Line]:
    """Another gateway before the line without a consumer: with keys, for a queue of 3."""
    settings = {
        **stopped.environment,
        "QUEUE_MAX_SIZE": "3",
        "API_KEYS": ", ".join(KEYS),
        "CORS_ALLOWED_ORIGINS": ORIGIN,
        "JOB_TTL_SECONDS": "60",
    }
    with GatewayProcess(settings) as gateway:
        yield Line(stopped.stack, stopped.names, gateway, settings)
