"""`maskline replay`: copies of records behind those that are there, each once, a few at a time."""

import asyncio
import json
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from schemas.job import Job
from tests.integration.tools.conftest import ToolLine, job_json
from tests.support.commands import Ran, run_command, start_command
from tests.support.consumer_process import until
from tests.support.topics import TopicRecord, end_of, following, read_topic

pytestmark = pytest.mark.integration

DAY = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.fixture(autouse=True)
def view(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A view of its own."""
    monkeypatch.setenv("VIEW_FILE", str(tmp_path / "view" / "view.db"))


async def test_a_dry_run_says_how_many_from_when_to_when_and_what_is_left_out(
    tool_line: ToolLine, admin: AIOKafkaAdminClient
) -> None:
    """By offsets, times, a job and a state; nothing is written."""
    await keep_producers_time(tool_line, admin)
    jobs = tool_line.kafka.jobs_topic
    for hour in range(6):
        value = b"{" if hour == 2 else job_json(f"job-{hour}")
        await tool_line.write(jobs, value, key=b"k", at=DAY + timedelta(hours=hour))
    await tool_line.write(
        jobs, job_json("x:0", replay_of="job-0"), key=b"x:0", at=DAY + timedelta(hours=6)
    )
    for offset in range(6):
        await tool_line.event(
            "failed" if offset in (2, 4) else "completed", offset, f"job-{offset}"
        )
    await tool_line.commit(6)

    facts = await dry(tool_line, "--from-offset", "1")
    assert (facts["records"], facts["from_offset"], facts["to_offset"]) == (4, 1, 7)
    assert facts["left_out"] == {"no jobs": 1, "copies": 1}
    assert (facts["first"], facts["last"]) == (
        "2026-11-22T01:00:00.000Z",
        "2026-11-22T05:00:00.000Z",
    )
    facts = await dry(
        tool_line, "--from-datetime", "2026-11-22T03:00:00Z", "--to-datetime", "2026-11-22T05:00:00"
    )
    assert (facts["records"], facts["from_offset"], facts["to_offset"]) == (2, 3, 5)
    assert (await dry(tool_line, "--by-duration", "P36500D"))["records"] == 5
    assert (await dry(tool_line, "--job", "job-3"))["records"] == 1
    facts = await dry(tool_line, "--state", "failed")
    assert (facts["records"], facts["left_out"]) == (1, {"no jobs": 1})
    assert await end_of(tool_line.kafka.kafka_bootstrap_servers, jobs) == 7
    for wrong in (
        [],
        ["--from-offset", "0", "--by-duration", "P1D"],
        ["--by-duration", "1 day"],
        ["--to-offset", "99"],
        ["--from-datetime", "yesterday"],
        ["--state", "queued"],
        ["--job", "a", "--replay-id", "a/b"],
    ):
        assert (await maskline(*wrong)).code == 2, wrong


async def test_a_copy_is_a_job_of_its_own(tool_line: ToolLine) -> None:
    original = job_json(
        "a",
        batch={"batch_id": "b", "index": 0, "size": 2},
        model="u2net",
        metadata={"filename": "f", "idempotency_key": "k"},
    )
    headers = [("traceparent", b"00-1"), ("mask-redrive-of", b"d/0/1"), ("mask-redrives", b"1")]
    await tool_line.write(tool_line.kafka.jobs_topic, original, key=b"a", headers=headers)
    async with settling(tool_line):
        ran = await maskline("--job", "a", "--replay-id", "r", "--execute", "--format", "json")
        assert (ran.code, json.loads(ran.out)[0]["copied"]) == (0, 1)
        other = await maskline("--job", "a", "--replay-id", "s", "--execute", "--model", "silueta")
        assert other.code == 0
    one, two = [record for record in await records_of(tool_line) if record.offset]
    job = Job.read(one.value)
    assert (one.key, job.job_id, job.replay_of) == (b"r:0", "r:0", "a")
    assert (job.batch, job.model, job.metadata) == (None, "u2net", {"filename": "f"})
    assert job.submitted_at is not None
    assert dict(one.headers) == {"traceparent": b"00-1", "mask-replay-range": b"0-1"}
    assert Job.read(two.value).model == "silueta"


async def test_killed_twice_it_copies_each_record_once_and_its_end_is_fixed(
    tool_line: ToolLine,
) -> None:
    """At most four copies wait at any time; what is submitted meanwhile gets no copy."""
    jobs = tool_line.kafka.jobs_topic
    for number in range(120):
        value = b"{" if number % 10 == 3 else job_json(f"job-{number}")
        await tool_line.producer.send(jobs, value, key=b"k")
    await tool_line.producer.flush()
    command = ("--by-duration", "P1D", "--replay-id", "r", "--execute")
    most = 0
    async with settling(tool_line, pause=0.02) as line:
        line.through = 119
        for killed_at in (20, 60):
            process = await start(*command)
            await until(lambda n=killed_at: line.copies >= n, f"{killed_at} copies")  # type: ignore[misc]
            process.send_signal(signal.SIGKILL)
            await process.wait()
            await tool_line.job(f"live-{killed_at}")
        last = await maskline(*command)
        assert last.code == 0, last.err
        most = line.most_waiting
    copies = [
        record.key
        for record in await records_of(tool_line)
        if (record.key or b"").startswith(b"r:")
    ]
    assert copies == [f"r:{number}".encode() for number in range(120) if number % 10 != 3]
    assert 0 < most <= 4
    again = await maskline(*command, "--format", "json")
    assert json.loads(again.out)[0]["left_out"] == {"no jobs": 12, "done already": 108}
    other = await maskline(
        "--from-offset", "0", "--to-offset", "5", "--replay-id", "r", "--execute"
    )
    assert (other.code, "offsets 0 to 120" in other.err) == (2, True)


async def test_an_aborted_copy_is_no_copy_and_open_transactions_are_waited_for(
    tool_line: ToolLine,
) -> None:
    """Another producer's transaction is open while it looks for its copies."""
    await tool_line.job("a")
    server = tool_line.kafka.kafka_bootstrap_servers
    name = f"{tool_line.kafka.consumer_group}-replay-r-copy"
    earlier = AIOKafkaProducer(bootstrap_servers=server, transactional_id=name)
    other = AIOKafkaProducer(bootstrap_servers=server, transactional_id=f"{name}-other")
    copy = job_json("r:0", replay_of="a")
    async with settling(tool_line), other:
        await earlier.start()
        await earlier.begin_transaction()
        await earlier.send_and_wait(tool_line.kafka.jobs_topic, copy, key=b"r:0")
        await other.begin_transaction()
        await other.send_and_wait(tool_line.kafka.jobs_topic, job_json("b"), key=b"b")
        running = await start("--job", "a", "--replay-id", "r", "--execute", "--format", "json")
        reader = asyncio.create_task(running.communicate())
        await asyncio.wait([reader], timeout=3)
        assert not reader.done()
        await other.commit_transaction()
        out, _ = await reader
        with suppress(Exception):
            await earlier.stop()
    assert json.loads(out)[0]["copied"] == 1
    keys = [record.key for record in await records_of(tool_line)]
    assert keys.count(b"r:0") == 1


class Settling:
    """A line that settles each record a moment after it has come."""

    def __init__(self) -> None:
        self.through = -1
        self.copies = 0
        self.waiting = 0
        self.most_waiting = 0


@asynccontextmanager
async def settling(line: ToolLine, *, pause: float = 0.0) -> AsyncIterator[Settling]:
    """Inside, the line settles what comes; it counts how many copies wait."""
    state = Settling()
    server, jobs = line.kafka.kafka_bootstrap_servers, line.kafka.jobs_topic
    copies: asyncio.Queue[TopicRecord] = asyncio.Queue()

    async def note() -> None:
        async with following(server, jobs) as records:
            async for record in records:
                if record.offset > state.through and (record.key or b"")[:2] in (b"r:", b"s:"):
                    state.copies += 1
                    state.waiting += 1
                    state.most_waiting = max(state.most_waiting, state.waiting)
                    await copies.put(record)

    async def settle() -> None:
        while True:
            record = await copies.get()
            await asyncio.sleep(pause)
            state.waiting -= 1
            await line.event("completed", record.offset, (record.key or b"").decode())
            await line.commit(record.offset + 1)

    tasks = [asyncio.create_task(note()), asyncio.create_task(settle())]
    try:
        yield state
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def keep_producers_time(line: ToolLine, admin: AIOKafkaAdminClient) -> None:
    """Let the records have the time that the test gives them."""
    config = {"message.timestamp.type": "CreateTime", "retention.ms": "-1"}
    topic = ConfigResource(ConfigResourceType.TOPIC, line.kafka.jobs_topic, config)
    await admin.alter_configs([topic])


async def records_of(line: ToolLine) -> tuple[TopicRecord, ...]:
    """Read the jobs topic."""
    return await read_topic(line.kafka.kafka_bootstrap_servers, line.kafka.jobs_topic)


async def dry(line: ToolLine, *arguments: str) -> dict[str, Any]:
    """Give what a dry run says."""
    del line
    ran = await maskline(*arguments, "--format", "json")
    assert ran.code == 0, ran.err
    facts: dict[str, Any] = json.loads(ran.out)[0]
    return facts


async def start(*arguments: str) -> Process:
    """Start `maskline replay`."""
    return await start_command("replay", *arguments)


async def maskline(*arguments: str) -> Ran:
    """Run `maskline replay` to its end."""
    return await run_command("replay", *arguments)
