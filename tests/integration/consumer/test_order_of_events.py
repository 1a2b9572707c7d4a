"""No order of events stops the line, ends the process, or has a job done twice."""

import json

import pytest
from aiokafka import AIOKafkaProducer

from tests.integration.consumer.conftest import Bench

pytestmark = pytest.mark.integration


async def test_two_cancels_of_one_job_in_one_fetch_end_it_once(bench: Bench) -> None:
    """A person who presses the button twice doesn't stop the line."""
    photo = bench.put_photo()
    bench.stack.mask_assets.misbehave(jobs="stuck", mode="status", status=401)
    await bench.submit("stuck", photo)
    await bench.submit("behind", photo)
    consumer = bench.start()
    consumer.wait_not_ready("MASK_COMPONENT_SECRET")
    cancel = {"job_id": "stuck", "before_offset": 2, "requested_at": "2026-11-22T10:00:00.000Z"}
    await send_together(bench, bench.line.control, [cancel, cancel, cancel])
    events = await bench.terminal_events(2)
    assert [event["state"] for event in events] == ["cancelled", "completed"]
    await bench.submit("later", photo)
    assert len(await bench.terminal_events(3)) == 3


async def send_together(bench: Bench, topic: str, values: list[dict[str, object]]) -> None:
    """Write records that a reader gets in one fetch: they are one batch."""
    servers = bench.stack.kafka.bootstrap_servers
    async with AIOKafkaProducer(bootstrap_servers=servers) as producer:
        batch = producer.create_batch()
        for value in values:
            batch.append(key=b"k", value=json.dumps(value).encode(), timestamp=None)
        await (await producer.send_batch(batch, topic, partition=0))
