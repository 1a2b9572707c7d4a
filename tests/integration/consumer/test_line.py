"""The line as its users meet it: a real consumer, real Kafka, real S3, a real callback."""

import asyncio
import signal
from functools import partial
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.structs import OffsetAndMetadata

from tests.integration.consumer.conftest import Bench

pytestmark = pytest.mark.integration


async def test_jobs_of_every_kind_end_in_order_and_once(bench: Bench) -> None:
    """Good ones complete, bad ones fail with their code, and all are settled in offset order."""
    photo = bench.put_photo()
    await bench.submit("good", photo, metadata={"station": "3"}, surprise=1)
    await bench.send(bench.line.jobs, "garbage", b"{not json")
    await bench.send(bench.line.jobs, "tombstone", None)
    await bench.submit("lost", "s3://mask-uploads/none.png")
    await bench.submit("forbidden", photo, callback_url="http://example.com/x")
    await bench.submit("model", photo, model="nonesuch")
    await bench.submit("last", photo)
    consumer = bench.start()
    events = await bench.terminal_events(7)
    assert [event["source"]["offset"] for event in events] == list(range(7))
    assert [event["error"] and event["error"]["code"] for event in events] == [
        None,
        "invalid_message",
        "invalid_message",
        "image_not_found",
        "callback_forbidden",
        "unknown_model",
        None,
    ]
    result = events[0]["result"]
    assert (result["width"], result["height"]) == (64, 96)
    assert result["coverage"] == {"upper_body_mask": 1.0, "lower_body_mask": 0.0}
    assert consumer.get("/stats").json()["queue_current"] == 0
    assert consumer.end() == 0


async def test_a_missing_topic_is_named_with_the_command_that_mends_it(bare_bench: Bench) -> None:
    """And the consumer ends with 3, rather than let the broker make a wrong one."""
    consumer = bare_bench.start()
    assert consumer.process.wait(60) == 3
    words = consumer.log.read_text()
    assert bare_bench.line.jobs in words
    assert "maskline topics create" in words


async def test_a_jobs_topic_of_two_partitions_is_refused(
    bare_bench: Bench, admin: AIOKafkaAdminClient
) -> None:
    """There would be no order."""
    await admin.create_topics([NewTopic(bare_bench.line.jobs, 2, 1)])
    bare_bench.maskline("topics", "create")
    consumer = bare_bench.start()
    assert consumer.process.wait(60) == 3
    assert "2 partitions" in consumer.log.read_text()


async def test_a_cancel_frees_the_line_from_the_job_that_holds_it(bench: Bench) -> None:
    """The operator's way out of a hold, which leaves a later job of the same id alone."""
    photo = bench.put_photo()
    bench.stack.mask_assets.misbehave(jobs="stuck", mode="status", status=401)
    await bench.submit("stuck", photo)
    await bench.submit("behind", photo)
    consumer = bench.start()
    consumer.wait_not_ready("MASK_COMPONENT_SECRET")
    cancel = {"job_id": "stuck", "before_offset": 2, "requested_at": "2026-11-22T10:00:00.000Z"}
    await bench.send(bench.line.control, "stuck", cancel)
    events = await bench.terminal_events(2)
    assert [event["state"] for event in events] == ["cancelled", "completed"]


async def test_a_job_that_kills_the_process_is_convicted_and_its_neighbours_are_not(
    bench: Bench,
) -> None:
    """It may kill three processes; those in flight beside it complete."""
    red, white = bench.put_photo(), bench.put_photo("white.png", "white")
    for number in range(6):
        await bench.submit(f"job-{number}", white if number == 3 else red)
    module = "tests.support.aborting_consumer"
    for _ in range(3):
        consumer = bench.start(module=module, WORKER_COUNT=4)
        assert consumer.process.wait(60) == -signal.SIGABRT, consumer.log.read_text()
    bench.start(module=module, WORKER_COUNT=4)
    events = await bench.terminal_events(6)
    assert [event["source"]["offset"] for event in events] == list(range(6))
    codes = [event["error"] and event["error"]["code"] for event in events]
    assert codes == [None, None, None, "crash_loop", None, None]
    assert events[3]["attempt"] == 4


async def test_restarts_over_a_slow_job_are_no_deaths(bench: Bench) -> None:
    """Each owner leaves in order while the callback is under way; the job isn't convicted."""
    bench.stack.mask_assets.misbehave(jobs="slow", delay_ms=(20_000, 20_000))
    await bench.submit("slow", bench.put_photo())
    for attempt in (1, 2, 3):
        consumer = bench.start(SHUTDOWN_GRACE_SECONDS=0)
        await bench.events_until(partial(is_start, attempt))
        assert consumer.end() == 0
    bench.stack.mask_assets.behave()
    bench.start()
    assert (await bench.terminal_events(1))[0]["state"] == "completed"


async def test_where_the_offset_is_lost_the_status_topic_tells_how_far_the_group_came(
    bench: Bench,
) -> None:
    """Nothing that has a terminal event gets a second one."""
    photo = bench.put_photo()
    for number in range(3):
        await bench.submit(f"job-{number}", photo)
    consumer = bench.start()
    await bench.terminal_events(3)
    assert consumer.end() == 0
    await forget_offsets(bench)
    await bench.submit("later", photo)
    bench.start()
    events = await bench.terminal_events(4)
    assert [event["source"]["offset"] for event in events] == [0, 1, 2, 3]


async def test_offsets_that_retention_took_halt_the_line_until_a_person_says_where_to_go_on(
    bench: Bench, admin: AIOKafkaAdminClient
) -> None:
    """It lives, isn't ready, and names the offsets; going on needs an offset not yet settled."""
    photo = bench.put_photo()
    await bench.submit("first", photo)
    consumer = bench.start()
    await bench.terminal_events(1)
    assert consumer.end() == 0
    for number in range(3):
        await bench.submit(f"job-{number}", photo)
    jobs = TopicPartition(bench.line.jobs, 0)
    await admin.delete_records({jobs: RecordsToDelete(3)})
    consumer = bench.start()
    consumer.wait_not_ready("offsets 1 to 2")
    assert consumer.get("/livez").status_code == 200
    assert consumer.end() == 0
    assert bench.start("--from-offset", "0").process.wait(60) == 2
    bench.start("--from-offset", "3")
    events = await bench.terminal_events(2)
    assert [event["source"]["offset"] for event in events] == [0, 3]


async def test_too_many_dead_letters_in_a_row_halt_the_line(bench: Bench) -> None:
    """Right behind the one that was too many: what follows stays for after the restart."""
    for number in range(5):
        await bench.send(bench.line.jobs, f"bad-{number}", b"{")
    consumer = bench.start(DEAD_LETTER_LIMIT=3)
    consumer.wait_not_ready("3 dead letters in a row")
    assert len(await bench.terminal_events(3)) == 3
    assert await committed(bench) == 3
    assert consumer.end() == 0


async def test_a_standby_is_ready_and_takes_over(bench: Bench) -> None:
    """Warm, in the group, without a lane; after the owner's clean leave it goes on."""
    photo = bench.put_photo()
    owner = bench.start()
    owner.wait_until(lambda: owner.get("/stats").json()["assigned"])
    standby = bench.start()
    standby.wait_ready()
    await asyncio.sleep(1)
    first, second = sorted(
        (owner, standby), key=lambda one: not one.get("/stats").json()["assigned"]
    )
    assert not second.get("/stats").json()["assigned"]
    await bench.submit("one", photo)
    await bench.terminal_events(1)
    assert first.end() == 0
    await bench.submit("two", photo)
    await bench.terminal_events(2)
    assert second.get("/stats").json()["jobs_processed"] == 1


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
async def test_producers_may_compress(bench: Bench, codec: str) -> None:
    """In every codec that Kafka's own clients have."""
    servers = bench.stack.kafka.bootstrap_servers
    async with AIOKafkaProducer(bootstrap_servers=servers, compression_type=codec) as producer:
        await producer.send_and_wait(bench.line.jobs, b"{" * 5000, key=b"k")
    bench.start()
    assert (await bench.terminal_events(1))[0]["error"]["code"] == "invalid_message"


def is_start(attempt: int, event: dict[str, Any]) -> bool:
    """Whether the event tells of that start of a job."""
    return (event["state"], event["attempt"]) == ("processing", attempt)


async def committed(bench: Bench) -> int:
    """The group's committed offset."""
    servers = bench.stack.kafka.bootstrap_servers
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        found = await admin.list_consumer_group_offsets(bench.line.group)
    finally:
        await admin.close()
    offset: int = found[TopicPartition(bench.line.jobs, 0)].offset
    return offset


async def forget_offsets(bench: Bench) -> None:
    """Put the group's committed offset back to none, as its expiry does."""
    jobs = TopicPartition(bench.line.jobs, 0)
    reader = AIOKafkaConsumer(
        bootstrap_servers=bench.stack.kafka.bootstrap_servers,
        group_id=bench.line.group,
        enable_auto_commit=False,
    )
    async with reader:
        reader.assign([jobs])
        await reader.commit({jobs: OffsetAndMetadata(-1, "")})
