"""A control topic that is gone: the line says so and goes on, and hears it when it is back."""

import asyncio
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from tests.support.bench import Bench
from tests.support.consumer_process import until

pytestmark = pytest.mark.integration


def hears(heard: bool, _: int, answer: dict[str, Any]) -> bool:
    """Whether `/readyz` says so."""
    found = answer.get("checks", {}).get("control_heard")
    return found is not None and found["ok"] is heard


async def test_a_control_topic_that_is_gone_is_said_in_readyz_and_stops_no_job(
    bench: Bench, admin: AIOKafkaAdminClient
) -> None:
    """Made again, it is heard: a cancel ends the job that holds the line."""
    photo = bench.put_photo()
    bench.stack.mask_assets.misbehave(jobs="stuck", mode="status", status=401)
    await bench.submit("before", photo)
    consumer = bench.start()
    await bench.terminal_events(1)
    await admin.delete_topics([bench.line.control])
    await consumer.until_answered("/readyz", lambda *answer: hears(False, *answer))
    await bench.submit("without", photo)
    await bench.terminal_events(2)

    async def is_gone() -> bool:
        return bench.line.control not in await admin.list_topics()

    await until(is_gone, "the control topic is deleted")
    made = await asyncio.to_thread(bench.maskline, "topics", "create")
    assert made.returncode == 0, made.stderr
    await consumer.until_answered("/readyz", lambda *answer: hears(True, *answer))
    await bench.submit("stuck", photo)
    await consumer.until_holding("MASK_COMPONENT_SECRET")
    cancel = {"job_id": "stuck", "before_offset": 3, "requested_at": "2026-11-22T10:00:00.000Z"}
    await bench.send(bench.line.control, "stuck", cancel)
    events = await bench.terminal_events(3)
    assert [event["state"] for event in events] == ["completed", "completed", "cancelled"]
