"""No order of events stops the line, ends the process, or has a job done twice."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from consumer.kafka import clients
from consumer.line.membership import Membership
from consumer.settings import KafkaSettings, load
from tests.support.bench import Bench
from tests.support.consumer_process import until

pytestmark = pytest.mark.integration


async def test_two_cancels_of_one_job_in_one_fetch_end_it_once(bench: Bench) -> None:
    """A person who presses the button twice doesn't stop the line."""
    photo = bench.put_photo()
    bench.stack.mask_assets.misbehave(jobs="stuck", mode="status", status=401)
    await bench.submit("stuck", photo)
    await bench.submit("behind", photo)
    consumer = bench.start()
    await consumer.until_holding("MASK_COMPONENT_SECRET")
    cancel = {"job_id": "stuck", "before_offset": 2, "requested_at": "2026-11-22T10:00:00.000Z"}
    await send_together(bench, bench.line.control, [cancel, cancel, cancel])
    events = await bench.terminal_events(2)
    assert [event["state"] for event in events] == ["cancelled", "completed"]
    await bench.submit("later", photo)
    assert len(await bench.terminal_events(3)) == 3


async def test_jobs_that_finished_behind_a_slow_head_count_no_crash_when_the_owner_leaves(
    bench: Bench,
) -> None:
    """Three owners leave in order while they wait to be settled; none of them is convicted."""
    bench.stack.mask_assets.misbehave(jobs="slow", delay_ms=(20_000, 20_000))
    photo = bench.put_photo()
    await bench.submit("slow", photo)
    await bench.submit("behind", photo)
    for attempt in (1, 2, 3):
        consumer = bench.start(SHUTDOWN_GRACE_SECONDS=0)
        await bench.event(partial(is_start, "slow", attempt))
        await bench.event(partial(is_start, "behind", attempt))
        await until(partial(are_stored, bench, offset=1, times=attempt), "masks are stored")
        await consumer.end()
    bench.stack.mask_assets.behave()
    bench.start()
    events = await bench.terminal_events(2)
    assert [event["state"] for event in events] == ["completed", "completed"]


async def test_from_offset_does_not_end_the_standby_that_takes_over(
    bench: Bench, admin: AIOKafkaAdminClient
) -> None:
    """Both were started with it; what it names is settled when the standby's turn comes."""
    photo = bench.put_photo()
    for number in range(4):
        await bench.submit(f"job-{number}", photo)
    await admin.delete_records({TopicPartition(bench.line.jobs, 0): RecordsToDelete(2)})
    owner = bench.start("--from-offset", "2")
    await owner.until_assigned()
    standby = bench.start("--from-offset", "2")
    await standby.until_ready()
    await bench.terminal_events(2)
    await owner.end()
    await bench.submit("later", photo)
    events = await bench.terminal_events(3)
    assert [event["source"]["offset"] for event in events] == [2, 3, 4]
    standby.check_running()


async def test_a_membership_that_ends_while_the_broker_is_silent_leaves_nothing_behind(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No fetcher, no heartbeat, no connection: an outage of hours has thousands of these ends."""
    for name, value in bench.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(clients, "STOP_SECONDS", 0.5)
    before = asyncio.all_tasks()
    membership = Membership(load(KafkaSettings))
    async with asyncio.timeout(60):
        await membership.__aenter__()
        await membership.owns()
        with silent(bench):
            await membership.__aexit__(None, None, None)
            left = [repr(task) for task in asyncio.all_tasks() - before]
            assert [] == [task for task in left if "aiokafka" in task]


@contextmanager
def silent(bench: Bench) -> Iterator[None]:
    """Let the broker say nothing in the meantime."""
    bench.stack.kafka.pause()
    try:
        yield
    finally:
        bench.stack.kafka.resume()


def are_stored(bench: Bench, *, offset: int, times: int) -> bool:
    """Whether the masks of a record were stored so often."""
    uploads = bench.stack.mask_assets.uploads()
    keys = [upload["idempotency_key"] for upload in uploads if upload["status"] == 200]
    return times == sum(str(key).endswith(f"{bench.line.jobs}/0/{offset}") for key in keys)


def is_start(job: str, attempt: int, event: dict[str, Any]) -> bool:
    """Whether the event tells of that start of that job."""
    return (event["job_id"], event["state"], event["attempt"]) == (job, "processing", attempt)


async def send_together(bench: Bench, topic: str, values: list[dict[str, object]]) -> None:
    """Write records that a reader gets in one fetch: they are one batch."""
    servers = bench.bootstrap
    async with AIOKafkaProducer(bootstrap_servers=servers) as producer:
        batch = producer.create_batch()
        for value in values:
            batch.append(key=b"k", value=json.dumps(value).encode(), timestamp=None)
        await (await producer.send_batch(batch, topic, partition=0))
