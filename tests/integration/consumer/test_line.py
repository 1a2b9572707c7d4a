"""The line as its users meet it: a real consumer, real Kafka, real S3, a real callback."""

import signal
from functools import partial
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.structs import OffsetAndMetadata

from tests.support.bench import Bench
from tests.support.consumer_process import ConsumerProcess, until

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
    await consumer.until_answered("/stats", lambda _, stats: stats.get("queue_current") == 0)
    await consumer.end()


async def test_a_missing_topic_is_named_with_the_command_that_mends_it(bare_bench: Bench) -> None:
    """And the consumer ends with 3, rather than let the broker make a wrong one."""
    consumer = bare_bench.start()
    assert await consumer.exit_code() == 3
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
    assert await consumer.exit_code() == 3
    assert "2 partitions" in consumer.log.read_text()


async def test_a_cancel_frees_the_line_from_the_job_that_holds_it(bench: Bench) -> None:
    """The operator's way out of a hold, which leaves a later job of the same id alone."""
    photo = bench.put_photo()
    bench.stack.mask_assets.misbehave(jobs="stuck", mode="status", status=401)
    await bench.submit("stuck", photo)
    await bench.submit("behind", photo)
    consumer = bench.start()
    await consumer.until_holding("MASK_COMPONENT_SECRET")
    cancel = {"job_id": "stuck", "before_offset": 2, "requested_at": "2026-11-22T10:00:00.000Z"}
    await bench.send(bench.line.control, "stuck", cancel)
    events = await bench.terminal_events(2)
    assert [event["state"] for event in events] == ["cancelled", "completed"]


async def test_a_job_that_kills_the_process_is_a_dead_letter_and_its_neighbours_are_not(
    bench: Bench,
) -> None:
    """It may kill three processes; those in flight beside it complete."""
    red, white = bench.put_photo(), bench.put_photo("white.png", "white")
    for number in range(6):
        await bench.submit(f"job-{number}", white if number == 3 else red)
    module = "tests.support.aborting_consumer"
    for _ in range(3):
        consumer = bench.start(module=module, WORKER_COUNT=4)
        assert await consumer.exit_code() == -signal.SIGABRT, consumer.log.read_text()
    bench.start(module=module, WORKER_COUNT=4)
    events = await bench.terminal_events(6)
    assert [event["source"]["offset"] for event in events] == list(range(6))
    codes = [event["error"] and event["error"]["code"] for event in events]
    assert codes == [None, None, None, "crash_loop", None, None]
    assert events[3]["attempt"] == 4


async def test_restarts_over_a_slow_job_are_no_deaths(bench: Bench) -> None:
    """Each owner leaves in order while the callback is under way; the job isn't put aside."""
    bench.stack.mask_assets.misbehave(jobs="slow", delay_ms=(20_000, 20_000))
    await bench.submit("slow", bench.put_photo())
    for attempt in (1, 2, 3):
        consumer = bench.start(SHUTDOWN_GRACE_SECONDS=0)
        await bench.event(partial(is_start, attempt))
        await consumer.end()
    bench.stack.mask_assets.behave()
    bench.start()
    assert (await bench.terminal_events(1))[0]["state"] == "completed"


async def test_where_the_offset_is_lost_the_status_topic_shows_how_far_the_group_came(
    bench: Bench,
) -> None:
    """Nothing that has a terminal event gets a second one."""
    photo = bench.put_photo()
    for number in range(3):
        await bench.submit(f"job-{number}", photo)
    consumer = bench.start()
    await bench.terminal_events(3)
    await consumer.end()
    await forget_offsets(bench)
    await bench.submit("later", photo)
    bench.start()
    events = await bench.terminal_events(4)
    assert [event["source"]["offset"] for event in events] == [0, 1, 2, 3]


async def test_offsets_that_retention_took_halt_the_line_until_a_person_names_where_to_go_on(
    bench: Bench, admin: AIOKafkaAdminClient
) -> None:
    """It lives, isn't ready, and names the offsets; going on needs an offset not yet settled."""
    photo = bench.put_photo()
    await bench.submit("first", photo)
    consumer = bench.start()
    await bench.terminal_events(1)
    await consumer.end()
    for number in range(3):
        await bench.submit(f"job-{number}", photo)
    jobs = TopicPartition(bench.line.jobs, 0)
    await admin.delete_records({jobs: RecordsToDelete(3)})
    consumer = bench.start()
    await consumer.until_halted("offsets 1 to 2")
    assert (await consumer.get("/livez"))[0] == 200
    await consumer.end()
    assert await bench.start("--from-offset", "0").exit_code() == 2
    bench.start("--from-offset", "3")
    events = await bench.terminal_events(2)
    assert [event["source"]["offset"] for event in events] == [0, 3]


async def test_a_standby_is_ready_and_takes_over(bench: Bench) -> None:
    """Warm, in the group, without a lane; after the owner's clean leave it goes on."""
    photo = bench.put_photo()
    owner = bench.start()
    await owner.until_assigned()
    standby = bench.start()
    await standby.until_ready()
    owners: list[ConsumerProcess] = []

    async def one_is_assigned() -> bool:
        """The group has rebalanced for the standby: the partition may have changed hands."""
        owners[:] = [one for one in (owner, standby) if (await one.stats()).get("assigned")]
        return len(owners) == 1

    await until(one_is_assigned, "one of the two has the partition")
    (first,) = owners
    second = standby if first is owner else owner
    await bench.submit("one", photo)
    await bench.terminal_events(1)
    await first.end()
    await bench.submit("two", photo)
    await bench.terminal_events(2)
    await second.until_answered("/stats", lambda _, stats: stats.get("jobs_processed") == 1)


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
async def test_producers_may_compress(bench: Bench, codec: str) -> None:
    """In every codec that Kafka's own clients have."""
    async with AIOKafkaProducer(
        bootstrap_servers=bench.bootstrap, compression_type=codec
    ) as producer:
        await producer.send_and_wait(bench.line.jobs, b"{" * 5000, key=b"k")
    bench.start()
    assert (await bench.terminal_events(1))[0]["error"]["code"] == "invalid_message"


def is_start(attempt: int, event: dict[str, Any]) -> bool:
    """Whether the event is of that start of a job."""
    return (event["state"], event["attempt"]) == ("processing", attempt)


async def forget_offsets(bench: Bench) -> None:
    """Put the group's committed offset back to none, as its expiry does."""
    jobs = TopicPartition(bench.line.jobs, 0)
    reader = AIOKafkaConsumer(
        bootstrap_servers=bench.bootstrap,
        group_id=bench.line.group,
        enable_auto_commit=False,
    )
    async with reader:
        reader.assign([jobs])
        await reader.commit({jobs: OffsetAndMetadata(-1, "")})
