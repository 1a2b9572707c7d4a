"""A halt is kept with what is settled: it outlives restarts and hand-overs, and ends as it says."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete

from schemas.status import Source, StatusEvent, cloud_event_headers
from tests.support.bench import Bench
from tests.support.consumer_process import ConsumerProcess

pytestmark = pytest.mark.integration

LIMIT = 3


async def test_a_halt_for_dead_letters_outlives_everything_but_a_resume(bench: Bench) -> None:
    """Right behind the one that was too many; a restart and a standby halt as well."""
    photo = bench.put_photo()
    for number in range(4):
        await bench.submit(f"bad-{number}", photo, model="nonesuch")
        await bench.send(bench.line.jobs, f"garbage-{number}", b"{")
    await bench.submit("good", photo)
    consumer = bench.start(DEAD_LETTER_LIMIT=LIMIT)
    await consumer.until_halted("3 dead letters in a row")
    assert "offset 4" in await reason(consumer)
    assert len(await bench.terminal_events(5)) == 5

    await consumer.end()
    owner = bench.start(DEAD_LETTER_LIMIT=LIMIT)
    await owner.until_halted("3 dead letters in a row")
    standby = bench.start(DEAD_LETTER_LIMIT=LIMIT)
    await standby.until_ready()
    await owner.end()
    await standby.until_assigned()
    await standby.until_halted("maskline resume")
    assert len(await bench.terminal_events(5)) == 5

    resumed = bench.maskline("resume")
    assert (resumed.returncode, "behind offset 4" in resumed.stderr) == (0, True)
    events = await bench.terminal_events(9)
    assert [event["source"]["offset"] for event in events] == list(range(9))
    assert events[8]["state"] == "completed"
    await standby.until_ready()
    assert "has not halted" in bench.maskline("resume").stderr


async def test_a_resume_of_before_does_not_lift_a_later_halt(bench: Bench) -> None:
    """It says behind which record the line goes on."""
    photo = bench.put_photo()
    for number in range(6):
        await bench.submit(f"bad-{number}", photo, model="nonesuch")
    consumer = bench.start(DEAD_LETTER_LIMIT=LIMIT)
    await consumer.until_halted("offset 2")
    bench.maskline("resume")
    await consumer.until_halted("offset 5")
    await consumer.end()
    again = bench.start(DEAD_LETTER_LIMIT=LIMIT)
    await again.until_halted("offset 5")


async def test_the_count_goes_on_over_a_restart(bench: Bench) -> None:
    """Restarts now and then would keep a broken line from ever halting."""
    photo = bench.put_photo()
    for number in range(2):
        await bench.submit(f"bad-{number}", photo, model="nonesuch")
    consumer = bench.start(DEAD_LETTER_LIMIT=LIMIT)
    await bench.terminal_events(2)
    await consumer.end()
    await bench.submit("bad-2", photo, model="nonesuch")
    await bench.start(DEAD_LETTER_LIMIT=LIMIT).until_halted("offset 2")


async def test_records_deleted_while_the_line_runs_are_named_with_the_way_on(
    bench: Bench, admin: AIOKafkaAdminClient
) -> None:
    """What was taken before is settled; the rest is gone, and the line says which."""
    photo = bench.put_photo()
    bench.stack.mask_assets.misbehave(jobs="slow", delay_ms=(4000, 4000))
    await bench.submit("slow", photo)
    consumer = bench.start(MAX_IN_FLIGHT=1)
    await bench.event(lambda event: event["state"] == "processing")
    for number in range(1, 6):
        await bench.submit(f"job-{number}", photo)
    jobs = TopicPartition(bench.line.jobs, 0)
    await admin.delete_records({jobs: RecordsToDelete(before_offset=4)})

    await consumer.until_halted("offsets 1 to 3")
    assert "maskline consume --from-offset 4" in await reason(consumer)
    assert (await bench.terminal_events(1))[0]["state"] == "completed"
    await consumer.end()
    bench.start("--from-offset", "4")
    events = await bench.terminal_events(3)
    assert [event["source"]["offset"] for event in events] == [0, 4, 5]


async def test_a_topic_made_anew_is_not_taken_for_the_old_one(
    bench: Bench, admin: AIOKafkaAdminClient
) -> None:
    """It is longer than the old one was: nothing of it is passed over, and the way named works."""
    photo = bench.put_photo()
    for number in range(3):
        await bench.submit(f"old-{number}", photo)
    consumer = bench.start()
    await bench.terminal_events(3)
    await consumer.end()
    await make_anew(bench, admin)
    for number in range(5):
        await bench.submit(f"new-{number}", photo)

    consumer = bench.start()
    await consumer.until_halted("was made anew")
    assert "maskline consume --from-offset 0" in await reason(consumer)
    assert len(await bench.terminal_events(3)) == 3
    await consumer.end()
    consumer = bench.start("--from-offset", "0")
    events = await bench.terminal_events(8)
    assert [event["job_id"] for event in events[3:]] == [f"new-{number}" for number in range(5)]
    await consumer.end()
    await bench.start().until_ready()


async def test_a_topic_made_anew_under_a_running_line_halts_it(
    bench: Bench, admin: AIOKafkaAdminClient
) -> None:
    """Also where the new one is longer already, so that no offset is out of range."""
    photo = bench.put_photo()
    bench.stack.mask_assets.misbehave(jobs="slow", delay_ms=(6000, 6000))
    await bench.submit("old", photo)
    await bench.submit("slow", photo)
    consumer = bench.start()
    await bench.event(is_start_of_slow)
    await bench.terminal_events(1)
    await make_anew(bench, admin)
    for number in range(5):
        await bench.submit(f"new-{number}", photo)

    await consumer.until_halted("was made anew")
    assert "maskline consume --from-offset 0" in await reason(consumer)
    await consumer.end()
    bench.start("--from-offset", "0")
    events = await bench.terminal_events(6)
    ended = [event["job_id"] for event in events]
    assert ended == ["old", *(f"new-{number}" for number in range(5))]


async def test_where_the_events_name_no_topic_the_halt_says_what_may_have_happened(
    bench: Bench,
) -> None:
    """Those of the version before; they tell of records beyond the topic's end."""
    await write_event_of_before(bench, offset=40)
    await bench.submit("new", bench.put_photo())

    consumer = bench.start()
    await consumer.until_halted("it ends at 1")
    assert "maskline consume --from-offset 0" in await reason(consumer)
    await consumer.end()
    bench.start("--from-offset", "0")
    assert (await bench.terminal_events(2))[1]["job_id"] == "new"


async def reason(consumer: ConsumerProcess) -> str:
    """Why the line has halted."""
    _, ready = await consumer.get("/readyz")
    detail: str = ready["checks"]["not_halted"]["detail"]
    return detail


async def make_anew(bench: Bench, admin: AIOKafkaAdminClient) -> None:
    """Delete the jobs topic and make it again."""
    await admin.delete_topics([bench.line.jobs])
    async with asyncio.timeout(30):
        while bench.line.jobs in await admin.list_topics():  # noqa: ASYNC110 - Kafka tells nobody
            await asyncio.sleep(0.1)
    await admin.create_topics([NewTopic(bench.line.jobs, 1, 1)])


def is_start_of_slow(event: dict[str, Any]) -> bool:
    """Whether the slow job is under way."""
    return (event["job_id"], event["state"]) == ("slow", "processing")


async def write_event_of_before(bench: Bench, *, offset: int) -> None:
    """Write a terminal event without the topic's id."""
    event = StatusEvent(
        event_id="1",
        state="cancelled",
        occurred_at=datetime.now(UTC),
        source=Source(topic=bench.line.jobs, partition=0, offset=offset),
        worker="w",
    )
    async with AIOKafkaProducer(bootstrap_servers=bench.bootstrap) as producer:
        await producer.send_and_wait(
            bench.line.status,
            event.write(),
            headers=cloud_event_headers(event, bench.line.group),
        )
