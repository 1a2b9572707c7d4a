"""One broker of several that is frozen, or cut off without a word, keeps nobody from the others."""

import asyncio
import time

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from consumer.kafka import connection
from consumer.kafka.clients import start_producer, stop_producer
from consumer.kafka.connection import connection_options
from consumer.line.settlement import START_SECONDS
from consumer.settings import KafkaSettings, load
from tests.support.bench import Bench
from tests.support.raw_server import RawServer, never_read

pytestmark = pytest.mark.integration


@pytest.fixture
def options(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """What every client of the line takes."""
    for name, value in bench.environment.items():
        monkeypatch.setenv(name, value)
    return connection_options(load(KafkaSettings))


async def test_a_client_whose_first_broker_is_frozen_starts_by_the_next(
    bench: Bench, options: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within the time that a lane has to open, whichever client it is."""
    monkeypatch.setattr(connection, "CONNECT_SECONDS", 0.5)
    monkeypatch.setattr(
        "aiokafka.conn.random.shuffle", lambda servers: None
    )  # the frozen one first
    with RawServer(never_read) as frozen:
        servers = [f"127.0.0.1:{frozen.port}", bench.bootstrap]
        producer = AIOKafkaProducer(**options | {"bootstrap_servers": servers})
        consumer = AIOKafkaConsumer(**options | {"bootstrap_servers": servers})
        admin = AIOKafkaAdminClient(**options | {"bootstrap_servers": servers})
        began = time.monotonic()
        try:
            await start_producer(producer, "producer", seconds=START_SECONDS)
            async with asyncio.timeout(START_SECONDS):
                await consumer.start()
                await admin.start()
        finally:
            await stop_producer(producer)
            await consumer.stop()
            await admin.close()
        assert frozen.connections == 3
    assert time.monotonic() - began < START_SECONDS / 2
