"""`maskline consume --replay-id`: a part of history done again, beside a line that goes on."""

import signal
from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from tests.support.bench import Bench
from tests.support.consumer_process import ConsumerProcess, until
from tests.support.topics import TERMINAL_STATES, TopicRecord, committed_offset, end_of, read_topic

pytestmark = pytest.mark.integration


async def test_a_run_does_each_record_again_and_the_line_goes_on_beside_it(
    bench: Bench, admin: AIOKafkaAdminClient
) -> None:
    """It writes no dead letters, commits in a group of its own, and has keys of its own."""
    photo = bench.put_photo()
    for number in range(3):
        await bench.submit(f"job-{number}", photo)
    await bench.send(bench.line.jobs, "garbage", b"{")
    await bench.send(bench.line.jobs, "tombstone", None)
    line = bench.start()
    await bench.terminal_events(5)

    run = start_run(bench, "r", 0, 5)
    await bench.submit("live", photo)
    assert await run.exit_code() == 1
    assert "3 completed, 2 failed" in run.log.read_text()
    events = await run_events(bench, "r")
    assert [event["source"]["offset"] for _, event in events] == list(range(5))
    assert [event["state"] for _, event in events] == ["completed"] * 3 + ["failed"] * 2
    source = f"/maskline/{bench.line.group}-replay-r".encode()
    assert {dict(record.headers)["ce_source"] for record, _ in events} == {source}
    assert len(await read_topic(bench.bootstrap, bench.line.dead_letters)) == 2
    keys = [str(upload["idempotency_key"]) for upload in bench.stack.mask_assets.uploads()]
    assert sorted(key for key in keys if bench.line.jobs in key and key.startswith("r/")) == [
        f"r/job-{number}/{bench.line.jobs}/0/{number}" for number in range(3)
    ]

    ended = [e for e in await bench.terminal_events(11) if e["replay_id"] is None]
    assert [event["source"]["offset"] for event in ended] == list(range(6))
    assert line.entries("lane.lost") == []
    assert await committed_offset(admin, bench.line.group, bench.line.jobs) == 6
    again = start_run(bench, "r", 0, 5)
    assert await again.exit_code() == 1
    assert "3 completed, 2 failed" in again.log.read_text()
    assert len(await run_events(bench, "r")) == 5


async def test_killed_twice_a_run_does_each_record_once_and_ends_in_a_gap(bench: Bench) -> None:
    """Behind the last record are the end of its transaction and one that was aborted."""
    photo = bench.put_photo()
    bench.stack.mask_assets.misbehave(delay_ms=(150, 150))
    await submit_in_transactions(bench, photo, transactions=10, each=3)
    end = await end_of(bench.bootstrap, bench.line.jobs)
    records = await read_topic(bench.bootstrap, bench.line.jobs)
    assert records[-1].offset < end - 3

    for done in (4, 14):
        run = start_run(bench, "r", 0, end - 1, MAX_IN_FLIGHT=4)
        await until(lambda n=done: has_ended(bench, "r", n), f"{done} have ended")  # type: ignore[misc]
        run.kill()
    run = start_run(bench, "r", 0, end - 1, MAX_IN_FLIGHT=4)
    assert await run.exit_code() == 0
    assert "30 completed" in run.log.read_text()
    events = await run_events(bench, "r")
    assert [event["source"]["offset"] for _, event in events] == [each.offset for each in records]


async def test_a_cancel_of_the_line_covers_the_record_in_a_run(bench: Bench) -> None:
    """Also where the cancel came before the run. The photo isn't fetched."""
    photo = bench.put_photo()
    for number in range(3):
        await bench.submit(f"job-{number}", photo)
    cancel = {"job_id": "job-1", "before_offset": 3, "requested_at": "2026-11-28T00:00:00Z"}
    await bench.send(bench.line.control, "job-1", {**cancel, "reason": None})
    run = start_run(bench, "r", 0, 3)
    assert await run.exit_code() == 1  # as `submit --wait` has it: not all completed
    assert "2 completed, 1 cancelled" in run.log.read_text()
    states = [event["state"] for _, event in await run_events(bench, "r")]
    assert states == ["completed", "cancelled", "completed"]


async def test_a_second_process_stands_by_and_ends_with_the_run(bench: Bench) -> None:
    """One that is told to stop leaves the rest to the other, and doesn't say that it is done."""
    photo = bench.put_photo()
    bench.stack.mask_assets.misbehave(mode="status", status=401)
    for number in range(12):
        await bench.submit(f"job-{number}", photo)
    first = start_run(bench, "r", 0, 12, SHUTDOWN_GRACE_SECONDS=0)
    await first.until_holding("MASK_COMPONENT_SECRET")
    others = [start_run(bench, "r", 0, 12) for _ in range(2)]
    for other in others:
        await other.until_ready()
    first.signal(signal.SIGTERM)
    assert await first.exit_code() == 130
    bench.stack.mask_assets.behave()
    assert [await run.exit_code() for run in others] == [0, 0]
    assert all("12 completed" in run.log.read_text() for run in others)
    offsets = [event["source"]["offset"] for _, event in await run_events(bench, "r")]
    assert offsets == list(range(12))


async def test_what_cant_be_a_run_is_refused_at_once(
    bench: Bench, admin: AIOKafkaAdminClient
) -> None:
    photo = bench.put_photo()
    for number in range(4):
        await bench.submit(f"job-{number}", photo)
    past = start_run(bench, "past", 0, 5)
    assert await past.exit_code() == 2
    assert "--to-offset 5" in past.log.read_text()
    assert await start_run(bench, "r", 0, 2).exit_code() == 0
    other = start_run(bench, "r", 0, 4)
    assert await other.exit_code() == 2
    assert "began with offsets 0 to 2" in other.log.read_text()
    jobs = TopicPartition(bench.line.jobs, 0)
    await admin.delete_records({jobs: RecordsToDelete(before_offset=3)})
    early = start_run(bench, "early", 2, 4)
    assert await early.exit_code() == 2
    assert "begins at offset 3" in early.log.read_text()
    assert await start_run(bench, "r", 0, 2).exit_code() == 0  # it is done


async def test_a_halt_ends_the_run_and_says_why(bench: Bench) -> None:
    """Also a standby's. Whoever starts it again lifts the halt."""
    photo = bench.put_photo()
    for number in range(5):
        await bench.submit(f"job-{number}", photo, model="nonesuch")
    run = start_run(bench, "r", 0, 5, DEAD_LETTER_LIMIT=3)
    assert await run.exit_code() == 3
    (halted,) = run.entries("run.halted")
    assert "3 dead letters in a row" in halted["reason"]
    assert len(await run_events(bench, "r")) == 3
    again = start_run(bench, "r", 0, 5, DEAD_LETTER_LIMIT=3)
    assert await again.exit_code() == 1
    assert "5 failed" in again.log.read_text()
    assert await read_topic(bench.bootstrap, bench.line.dead_letters) == ()


def start_run(bench: Bench, name: str, start: int, end: int, **settings: int) -> ConsumerProcess:
    """Start a replay run."""
    options = ("--replay-id", name, "--from-offset", str(start), "--to-offset", str(end))
    return bench.start(*options, **settings)  # type: ignore[arg-type]


async def run_events(bench: Bench, name: str) -> Sequence[tuple[TopicRecord, dict[str, Any]]]:
    """Read the run's terminal events."""
    records = await read_topic(bench.bootstrap, bench.line.status)
    read = [(record, record.json()) for record in records]
    return [
        (record, event)
        for record, event in read
        if event["state"] in TERMINAL_STATES and event["replay_id"] == name
    ]


async def has_ended(bench: Bench, name: str, count: int) -> bool:
    """Return whether so many of the run's records have ended."""
    return len(await run_events(bench, name)) >= count


async def submit_in_transactions(bench: Bench, photo: str, *, transactions: int, each: int) -> None:
    """Submit jobs in transactions, and abort one behind them."""
    producer = AIOKafkaProducer(
        bootstrap_servers=bench.bootstrap, transactional_id=f"{bench.line.group}-producer"
    )
    async with producer:
        for number in range(transactions):
            async with producer.transaction():
                for index in range(each):
                    await send_job(producer, bench, f"job-{number}-{index}", photo)
        await producer.begin_transaction()
        await send_job(producer, bench, "aborted", photo)
        await producer.flush()
        await producer.abort_transaction()


async def send_job(producer: AIOKafkaProducer, bench: Bench, job_id: str, photo: str) -> None:
    """Send a job's record."""
    value = f'{{"job_id": "{job_id}", "user_id": "u", "image": "{photo}"}}'
    await producer.send(bench.line.jobs, value.encode(), key=job_id.encode())
