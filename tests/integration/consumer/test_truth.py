"""No probe and no metric says what isn't so."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from prometheus_client.parser import text_string_to_metric_families

from consumer.line.membership import SESSION_SECONDS
from tests.integration.consumer.conftest import Bench, Consumer

pytestmark = pytest.mark.integration


async def test_the_lag_grows_while_the_line_holds(bench: Bench) -> None:
    """Records that arrive meanwhile are seen; what is taken isn't settled."""
    bench.stack.mask_assets.misbehave(mode="status", status=401)
    photo = bench.put_photo()
    await bench.submit("first", photo)
    consumer = bench.start(MAX_IN_FLIGHT=2)
    consumer.wait_not_ready("MASK_COMPONENT_SECRET")
    for number in range(9):
        await bench.submit(f"job-{number}", photo)
    consumer.wait_until(lambda: metric(consumer, "mask_lag") == 10)
    consumer.wait_until(lambda: consumer.get("/stats").json()["queue_current"] == 10)
    assert metric(consumer, "mask_position") == 0
    assert metric(consumer, "mask_in_flight") == 2
    bench.stack.mask_assets.behave()
    await bench.terminal_events(10)
    consumer.wait_until(lambda: metric(consumer, "mask_lag") == 0)
    assert metric(consumer, "mask_position") == 10


async def test_the_lag_grows_while_the_line_has_halted(bench: Bench) -> None:
    """And it has no open lane."""
    bench.stack.mask_assets.misbehave(mode="status", status=422)
    photo = bench.put_photo()
    for number in range(3):
        await bench.submit(f"bad-{number}", photo)
    consumer = bench.start(DEAD_LETTER_LIMIT=3, MAX_IN_FLIGHT=1, LOG_FORMAT="json")
    consumer.wait_not_ready("3 dead letters in a row")
    for number in range(5):
        await bench.submit(f"job-{number}", photo)
    consumer.wait_until(lambda: metric(consumer, "mask_lag") == 5)
    assert metric(consumer, "mask_position") == 3
    assert metric(consumer, "mask_in_flight") == 0
    assert consumer.get("/stats").json()["queue_current"] == 5
    assert consumer.get("/readyz?exclude=not_halted").status_code == 200
    assert consumer.end() == 0
    events = [json.loads(line)["event"] for line in consumer.log.read_text().splitlines()]
    assert events.index("line.halted") > events.index("lane.opened")
    assert "lane.opened" not in events[events.index("line.halted") :]


async def test_an_idle_line_is_not_ready_while_kafka_is_away(bench: Bench) -> None:
    """Within the session's time-out and a little; and ready again when it is back."""
    consumer = bench.start()
    consumer.wait_until(lambda: consumer.get("/stats").json()["assigned"])
    consumer.wait_ready()
    with paused_kafka(bench):
        begin = asyncio.get_running_loop().time()
        consumer.wait_not_ready("Kafka hasn't told")
        took = asyncio.get_running_loop().time() - begin
        assert consumer.get("/livez").status_code == 200
    assert took < SESSION_SECONDS + 4
    consumer.wait_ready()


async def test_readyz_names_no_users_object(bench: Bench) -> None:
    """S3 is out of reach: whoever asks learns that, and not whose photo is waited for."""
    await bench.submit("job", "s3://mask-uploads/u-42/at-home.jpg")
    consumer = bench.start(S3_ENDPOINT_URL="http://127.0.0.1:1")
    consumer.wait_not_ready("storage_unavailable")
    assert "u-42" not in consumer.get("/readyz").text


@contextmanager
def paused_kafka(bench: Bench) -> Iterator[None]:
    """Let the broker stand still in the meantime."""
    bench.stack.kafka.pause()
    try:
        yield
    finally:
        bench.stack.kafka.resume()


def metric(consumer: Consumer, name: str) -> float:
    """The value of a metric without labels."""
    families = text_string_to_metric_families(consumer.get("/metrics").text)
    (value,) = [one.value for family in families for one in family.samples if one.name == name]
    return float(value)
