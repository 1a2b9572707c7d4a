"""The metrics of a running line say who has it, what waits, and why it doesn't go on."""

import math
import time

import httpx
import pytest
from aiokafka import AIOKafkaProducer
from prometheus_client.parser import text_string_to_metric_families

from producer_tools.local import ports
from tests.support.bench import Bench
from tests.support.consumer_process import ConsumerProcess, until

pytestmark = pytest.mark.integration

Samples = dict[str, float]


async def test_the_gauges_tell_an_owner_a_standby_a_hold_and_a_halt(bench: Bench) -> None:
    """One line, from empty to halted."""
    begin = time.time()
    photo = bench.put_photo()
    owner = bench.start(DEAD_LETTER_LIMIT=3)
    await until_metrics(owner, mask_owner=1, mask_standby=0)
    standby = bench.start(DEAD_LETTER_LIMIT=3)
    await until_metrics(standby, mask_owner=0, mask_standby=1)
    assert math.isnan((await metrics(standby))["mask_unsettled_jobs"])

    await submit_in_a_transaction(bench, "first", photo)
    await bench.terminal_events(1)
    # The marker of the producer's transaction has an offset, and is no job.
    await until_metrics(owner, mask_lag=1, mask_unsettled_jobs=0, mask_time_to_empty_seconds=0)
    seen = await metrics(owner)
    assert begin < seen["mask_last_settled_timestamp_seconds"] < time.time()
    assert math.isnan(seen["mask_oldest_job_timestamp_seconds"])
    models = [name for name in seen if name.startswith("mask_model_info")]
    assert any("model=trivial" in name for name in models)

    bench.stack.mask_assets.misbehave(mode="status", status=401)
    before = time.time()
    await bench.submit("held", photo)
    await until_metrics(owner, **{"mask_holding{code=callback_unavailable}": 1})
    held = await metrics(owner)
    assert before - 1 < held["mask_oldest_job_timestamp_seconds"] < time.time()
    last = "mask_last_settled_timestamp_seconds"
    assert held[last] == seen[last]
    bench.stack.mask_assets.behave()
    await until_metrics(owner, mask_unsettled_jobs=0)
    assert (await metrics(owner))[last] > seen[last]

    for number in range(3):
        await bench.submit(f"bad-{number}", photo, model="nonesuch")
    await until_metrics(owner, **{"mask_halted{reason=dead_letters}": 1, "mask_owner": 1})
    await bench.submit("waits", photo)
    await until_metrics(owner, mask_unsettled_jobs=1)


async def submit_in_a_transaction(bench: Bench, job_id: str, image: str) -> None:
    """Write a job as a producer with transactions does."""
    job = f'{{"job_id": "{job_id}", "user_id": "u", "image": "{image}"}}'
    async with (
        AIOKafkaProducer(
            bootstrap_servers=bench.bootstrap, transactional_id=f"{bench.line.group}-producer"
        ) as producer,
        producer.transaction(),
    ):
        await producer.send_and_wait(bench.line.jobs, job.encode(), key=job_id.encode())


async def until_metrics(consumer: ConsumerProcess, **wanted: float) -> None:
    """Wait until these samples have these values."""

    async def is_so() -> bool:
        seen = await metrics(consumer)
        return all(seen.get(name) == value for name, value in wanted.items())

    await until(is_so, f"{consumer.name}: {wanted}", seconds=60)


async def metrics(consumer: ConsumerProcess) -> Samples:
    """Scrape it; empty while it doesn't answer."""
    try:
        async with httpx.AsyncClient(timeout=5) as client:
            text = (await client.get(f"http://{ports.HOST}:{consumer.port}/metrics")).text
    except httpx.HTTPError:
        return {}
    return {
        sample.name + "".join(f"{{{name}={value}}}" for name, value in sample.labels.items()): (
            sample.value
        )
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
