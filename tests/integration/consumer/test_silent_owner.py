"""A replay run's starts are found though its status topic has gone on without it for days."""

import time
from datetime import UTC, datetime

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition

from consumer.line.ledger import Ledger
from consumer.settings import KafkaSettings, load
from schemas.status import Source, State, StatusEvent, cloud_event_headers
from tests.support.bench import Bench

pytestmark = pytest.mark.integration

HOUR_MS = 3_600_000


async def test_what_others_published_after_an_owner_had_gone_isnt_read(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owner's events end where it was silent for longer than it can be."""
    for name, value in bench.environment.items():
        monkeypatch.setenv(name, value)
    settings, jobs = load(KafkaSettings), TopicPartition(bench.line.jobs, 0)
    now = int(time.time() * 1000) - 12 * HOUR_MS
    async with AIOKafkaProducer(bootstrap_servers=bench.bootstrap) as producer:

        async def write(offset: int, group: str, at: int, state: State = "processing") -> None:
            event = StatusEvent(
                event_id="1",
                state=state,
                occurred_at=datetime.now(UTC),
                source=Source(topic=bench.line.jobs, partition=0, offset=offset),
                worker="w",
            )
            await producer.send_and_wait(
                bench.line.status,
                event.write(),
                headers=cloud_event_headers(event, group),
                timestamp_ms=at,
            )

        await write(9, "others", now)
        await write(0, bench.line.group, now + 100)
        await write(9, "others", now + HOUR_MS // 10)
        await write(1, bench.line.group, now + HOUR_MS // 9)
        await write(9, "others", now + HOUR_MS)
        await write(2, bench.line.group, now + 2 * HOUR_MS)

    run, line = Ledger(), Ledger()
    await run.read(settings, jobs, place=0, start=0, silence=1200)
    await line.read(settings, jobs, place=0, start=0)
    assert [run.attempt(offset) for offset in range(3)] == [2, 2, 1]
    assert [line.attempt(offset) for offset in range(3)] == [2, 2, 2]
