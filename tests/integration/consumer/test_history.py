"""Where no offset is committed, the status topic tells how far the group came, and quickly."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import OffsetAndMetadata

from consumer.kafka.reader import Reader
from consumer.line import history
from consumer.line.history import History, read_history
from consumer.line.ledger import Ledger
from consumer.settings import KafkaSettings, load
from schemas.status import Source, State, StatusEvent, cloud_event_headers
from tests.support.bench import Bench
from tests.support.consumer_process import until
from tests.support.line_names import LineNames
from tests.support.topics import committed_offset

pytestmark = pytest.mark.integration

WINDOW = 100


@pytest.fixture
async def producer(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[AIOKafkaProducer]:
    """A producer, and small windows."""
    for name, value in bench.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(history, "FIRST_WINDOW", WINDOW)
    monkeypatch.setattr(history, "LARGEST_WINDOW", WINDOW)
    async with AIOKafkaProducer(bootstrap_servers=bench.bootstrap) as producer:
        yield producer


async def test_the_last_terminal_event_is_found_from_the_end(
    bench: Bench, producer: AIOKafkaProducer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 2,000 events only the last few windows are read: the work doesn't grow with the topic."""
    monkeypatch.setattr(history, "MOST_IN_FLIGHT", 20)
    for offset in range(1000):
        await write(producer, bench.line, offset, "processing")
        await write(producer, bench.line, offset, "cancelled")
    for offset in (1000, 1001):
        await write(producer, bench.line, offset, "processing")
    for number in range(150):
        await write(producer, bench.line, number, "cancelled", group="another")
    await producer.flush()
    read = count_records(monkeypatch)

    found = await read_history(load(KafkaSettings), jobs(bench))

    assert (found.settled, found.topic_id) == (1000, "")
    assert len(read) <= 4 * WINDOW
    ledger = Ledger()
    await ledger.read(load(KafkaSettings), jobs(bench), place=found.place, start=1000)
    assert [ledger.attempt(offset) for offset in (999, 1000, 1001, 1002)] == [1, 2, 2, 1]


async def test_a_group_that_has_settled_nothing_starts_with_its_own_first_event(
    bench: Bench, producer: AIOKafkaProducer
) -> None:
    """What others wrote before isn't read again."""
    for number in range(250):
        await write(producer, bench.line, number, "cancelled", group="another")
    await write(producer, bench.line, 0, "processing")
    await producer.flush()

    found = await read_history(load(KafkaSettings), jobs(bench))

    assert found == History(None, 250)


async def test_an_empty_status_topic_has_no_history(
    bench: Bench, producer: AIOKafkaProducer
) -> None:
    """The first start of a line."""
    del producer
    assert await read_history(load(KafkaSettings), jobs(bench)) == History(None, 0)


@pytest.mark.parametrize("by_ourselves", [True, False])
async def test_a_committed_offset_older_than_the_events_ends_no_record_twice(
    bench: Bench, admin: AIOKafkaAdminClient, *, by_ourselves: bool
) -> None:
    """Unless a person set it back: Kafka's tools leave out what we keep with it."""
    photo = bench.put_photo()
    consumer = bench.start()
    for number in range(4):
        await bench.submit(f"job-{number}", photo)
        await bench.terminal_events(number + 1)
        if number == 1:
            await until(partial(is_settled_to, bench, admin, 2), "the offset is seen")
            older = (await admin.list_consumer_group_offsets(bench.line.group))[jobs(bench)]
    await consumer.end()
    kept = older if by_ourselves else OffsetAndMetadata(2, "")
    async with AIOKafkaConsumer(
        bootstrap_servers=bench.bootstrap, group_id=bench.line.group, enable_auto_commit=False
    ) as other:
        other.assign([jobs(bench)])
        await other.commit({jobs(bench): kept})

    consumer = bench.start()
    await bench.submit("job-4", photo)
    expected = [0, 1, 2, 3, 4] if by_ourselves else [0, 1, 2, 3, 2, 3, 4]
    events = await bench.terminal_events(len(expected))
    assert [event["source"]["offset"] for event in events] == expected
    assert bool(consumer.entries("line.offset_behind")) is by_ourselves


async def is_settled_to(bench: Bench, admin: AIOKafkaAdminClient, offset: int) -> bool:
    """Whether this offset is the committed one."""
    return await committed_offset(admin, bench.line.group, bench.line.jobs) == offset


async def write(
    producer: AIOKafkaProducer,
    line: LineNames,
    offset: int,
    state: State,
    *,
    group: str | None = None,
) -> None:
    """Write an event."""
    event = StatusEvent(
        event_id="1",
        state=state,
        occurred_at=datetime.now(UTC),
        source=Source(topic=line.jobs, partition=0, offset=offset),
        worker="w",
    )
    headers = cloud_event_headers(event, group or line.group)
    await producer.send(line.status, event.write(), headers=headers)


def jobs(bench: Bench) -> TopicPartition:
    """The jobs topic's partition."""
    return TopicPartition(bench.line.jobs, 0)


def count_records(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note the offset of each record that any reader gives."""
    seen: list[int] = []
    getmany = Reader.getmany

    async def noted(self: Reader, *partitions: TopicPartition, **how: int) -> object:
        given = await getmany(self, *partitions, **how)
        seen.extend(record.offset for records in given.values() for record in records)
        return given

    monkeypatch.setattr(Reader, "getmany", noted)
    return seen
