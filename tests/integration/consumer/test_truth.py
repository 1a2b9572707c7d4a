"""No probe and no metric says what isn't so."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from consumer.line.membership import SESSION_SECONDS
from producer_tools.local import ports
from tests.support.bench import Bench
from tests.support.consumer_process import ConsumerProcess, until

pytestmark = pytest.mark.integration


async def test_the_lag_grows_while_the_line_holds(bench: Bench) -> None:
    """Records that arrive meanwhile are seen; what is taken isn't settled."""
    bench.stack.mask_assets.misbehave(mode="status", status=401)
    photo = bench.put_photo()
    await bench.submit("first", photo)
    consumer = bench.start(MAX_IN_FLIGHT=2)
    await consumer.until_holding("MASK_COMPONENT_SECRET")
    for number in range(9):
        await bench.submit(f"job-{number}", photo)
    await until_lag(consumer, 10)
    assert (await consumer.stats())["queue_current"] == 10
    assert await metric(consumer, "mask_position") == 0
    assert await metric(consumer, "mask_in_flight") == 2
    bench.stack.mask_assets.behave()
    await bench.terminal_events(10)
    await until_lag(consumer, 0)
    assert await metric(consumer, "mask_position") == 10


async def test_the_lag_grows_while_the_line_has_halted(bench: Bench) -> None:
    """And it has no open lane."""
    bench.stack.mask_assets.misbehave(mode="status", status=422)
    photo = bench.put_photo()
    for number in range(3):
        await bench.submit(f"bad-{number}", photo)
    consumer = bench.start(DEAD_LETTER_LIMIT=3, MAX_IN_FLIGHT=1)
    await consumer.until_halted("3 dead letters in a row")
    for number in range(5):
        await bench.submit(f"job-{number}", photo)
    await until_lag(consumer, 5)
    assert await metric(consumer, "mask_position") == 3
    assert await metric(consumer, "mask_in_flight") == 0
    assert (await consumer.stats())["queue_current"] == 5
    assert (await consumer.get("/readyz?exclude=not_halted"))[0] == 200
    await consumer.end()
    events = [entry["event"] for entry in consumer.entries()]
    assert events.index("line.halted") > events.index("lane.opened")
    assert "lane.opened" not in events[events.index("line.halted") :]


async def test_an_idle_line_is_not_ready_while_kafka_is_away(bench: Bench) -> None:
    """Within the session's time-out and a little; and ready again when it is back."""
    consumer = bench.start()
    await consumer.until_assigned()
    await consumer.until_ready()
    with paused_kafka(bench):
        took = await consumer.until_answered(
            "/readyz", lambda status, body: status == 503 and not body["checks"]["kafka"]["ok"]
        )
        assert (await consumer.get("/livez"))[0] == 200
    assert took < SESSION_SECONDS + 4
    await consumer.until_ready()


async def test_readyz_names_no_users_object(bench: Bench) -> None:
    """S3 is out of reach: whoever asks learns that, and not whose photo is waited for."""
    await bench.submit("job", "s3://mask-uploads/u-42/at-home.jpg")
    consumer = bench.start(S3_ENDPOINT_URL="http://127.0.0.1:1")
    await consumer.until_holding("storage_unavailable")
    assert "u-42" not in str(await consumer.get("/readyz"))


@contextmanager
def paused_kafka(bench: Bench) -> Iterator[None]:
    """Let the broker stand still in the meantime."""
    bench.stack.kafka.pause()
    try:
        yield
    finally:
        bench.stack.kafka.resume()


async def until_lag(consumer: ConsumerProcess, lag: int) -> None:
    """Wait until `mask_lag` is that."""

    async def is_so() -> bool:
        return await metric(consumer, "mask_lag") == lag

    await until(is_so, f"a lag of {lag}", seconds=30)


async def metric(consumer: ConsumerProcess, name: str) -> float:
    """The value of a metric without labels."""
    async with httpx.AsyncClient(timeout=5) as client:
        metrics = (await client.get(f"http://{ports.HOST}:{consumer.port}/metrics")).text
    families = text_string_to_metric_families(metrics)
    (value,) = [one.value for family in families for one in family.samples if one.name == name]
    return float(value)
