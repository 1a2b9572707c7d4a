"""`maskline dead-letters`: what failed is listed, shown, and put back onto the jobs topic once."""

import asyncio
import json
import signal
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from producer_tools.local.stack import UPLOAD_BUCKET
from schemas.dead_letter import dead_letter_headers
from schemas.status import ErrorCode, ErrorInfo, Source
from tests.integration.tools.conftest import ToolLine, job_json
from tests.support.commands import Ran, end_of_command, run_command, start_command
from tests.support.consumer_process import until
from tests.support.topics import read_topic

pytestmark = pytest.mark.integration

PHOTO = f"s3://{UPLOAD_BUCKET}/there.png"
SECONDS = 60


async def test_the_list_begins_with_how_many_of_each_code(tool_line: ToolLine) -> None:
    for number in range(3):
        await letter(tool_line, f"forbidden-{number}", "image_forbidden")
    await letter(tool_line, "rejected", "callback_rejected")
    await tool_line.write(tool_line.kafka.dead_letter_topic, b"{}", key=b"foreign")

    table = (await maskline("list")).out.splitlines()
    assert [line.split() for line in table[2:5]] == [
        ["image_forbidden", "3"],
        ["callback_rejected", "1"],
        ["no", "dead", "letter", "1"],
    ]
    rows = json.loads((await maskline("list", "--format", "json")).out)
    assert [row["job"] for row in rows] == [
        *(f"forbidden-{n}" for n in range(3)),
        "rejected",
        "foreign",
    ]
    some = await maskline("list", "--code", "callback_rejected", "--format", "jsonl")
    assert [row["offset"] for row in some.lines()] == [3]
    some = await maskline("list", "--from-offset", "1", "--to-offset", "3", "--format", "jsonl")
    assert [row["offset"] for row in some.lines()] == [1, 2]

    (shown,) = json.loads((await maskline("show", "3", "--format", "json")).out)
    assert json.loads(shown["value"])["job_id"] == shown["key"] == "rejected"
    assert ["mask-error-code", "callback_rejected"] in shown["headers"]
    assert (await maskline("show", "--job", "nobody")).code == 2


async def test_a_redriven_record_is_the_one_that_failed_and_two_headers_more(
    tool_line: ToolLine,
) -> None:
    put_photo(tool_line)
    arrived = [("traceparent", b"00-1"), ("twice", b"1"), ("twice", None)]
    value = job_json("a", image=PHOTO, unknown=[1, 2.50])
    await letter(tool_line, "a", "callback_rejected", value=value, headers=arrived)

    dry = await maskline("redrive")
    assert (dry.code, "1 to redrive" in dry.err, "dry run" in dry.err) == (0, True, True)
    assert await redriven(tool_line) == []
    done = await maskline("redrive", "--execute", "--format", "jsonl")
    assert [row["result"] for row in done.lines()] == ["redriven"]
    name = f"{tool_line.kafka.dead_letter_topic}/0/0".encode()
    (record,) = await redriven(tool_line)
    assert (record.key, record.value) == (b"a", value)
    assert list(record.headers) == [
        *arrived,
        ("mask-redrive-of", name),
        ("mask-redrives", b"1"),
    ]

    repeated = await maskline("redrive", "--execute")
    assert "0 redriven" in repeated.err
    assert "1 left out: redriven already" in repeated.err
    await maskline("redrive", "--execute", "--again")
    assert [dict(r.headers)["mask-redrives"] for r in await redriven(tool_line)] == [b"1", b"2"]


async def test_what_cant_get_better_is_left_out_and_what_is_gone_is_named(
    tool_line: ToolLine,
) -> None:
    put_photo(tool_line)
    await letter(tool_line, "garbage", "invalid_message", value=b"{")
    await letter(tool_line, "gone", "callback_rejected", image=f"s3://{UPLOAD_BUCKET}/gone.png")
    there = await letter(tool_line, "large", "unknown_model", omit=True)
    await letter(tool_line, "lost", "unknown_model", omit=True, source=900)
    await letter(tool_line, None, "invalid_message", value=None)
    await tool_line.write(tool_line.kafka.dead_letter_topic, b"{}", key=b"foreign")

    dry = await maskline("redrive", "--format", "jsonl")
    results = {row["job"] or row["offset"]: row["result"] for row in dry.lines()}
    assert "no job" in results["garbage"]
    assert "photo is gone" in results["gone"]
    assert f"gone: s3://{UPLOAD_BUCKET}/gone.png is gone" in dry.err
    assert "would be redriven" == results["large"]
    assert "its value isn't in the dead letter" in results["lost"]
    assert "no dead letter" in results["foreign"]
    await maskline("redrive", "--execute", "--code", "invalid_message", "--code", "unknown_model")
    records = await redriven(tool_line)
    assert [record.value for record in records] == [b"{", there, None]
    assert [record.key for record in records] == [b"garbage", b"large", None]


async def test_a_hundred_are_redriven_once_each_though_it_is_killed_and_a_third_fails_again(
    tool_line: ToolLine,
) -> None:
    """Killed as soon as the first are in the topic; what failed again waits to be asked for."""
    put_photo(tool_line)
    large = "x" * 120_000
    for number in range(100):
        await letter(
            tool_line, f"job-{number}", "callback_rejected", image=PHOTO, metadata={"x": large}
        )
    killed = await start("redrive", "--execute")
    copies: list[Any] = []

    async def some_are_there() -> bool:
        copies[:] = await redriven(tool_line)
        return bool(copies) or killed.returncode is not None

    await until(some_are_there, "the first are redriven", seconds=SECONDS)
    assert killed.returncode is None
    killed.send_signal(signal.SIGKILL)
    await killed.wait()
    for number in range(0, len(copies), 3):
        await fail_again(tool_line, copies[number])
    before = len(await redriven(tool_line))
    assert 0 < before < 100

    again = await maskline("redrive", "--execute")
    assert again.code == 0, again.err
    assert "left out: failed again after a redrive (--again)" in again.err
    records = await redriven(tool_line)
    assert Counter(record.key for record in records) == {f"job-{n}".encode(): 1 for n in range(100)}
    assert [record.key for record in records] == [f"job-{n}".encode() for n in range(100)]
    third = await maskline("redrive", "--execute")
    assert "0 redriven" in third.err

    failed = len(range(0, len(copies), 3))
    asked = await maskline("redrive", "--execute", "--again")
    assert f"{failed} redriven" in asked.err
    records = (await redriven(tool_line))[100:]
    assert {dict(record.headers)["mask-redrives"] for record in records} == {b"2"}
    assert len(records) == failed


async def test_of_two_redrives_at_once_the_later_one_goes_on(tool_line: ToolLine) -> None:
    put_photo(tool_line)
    for number in range(40):
        await letter(tool_line, f"job-{number}", "callback_rejected", metadata={"x": "x" * 100_000})
    first, second = await asyncio.gather(
        *[end_of_command(await start("redrive", "--execute")) for _ in range(2)]
    )
    assert 0 in (first.code, second.code), (first.err, second.err)
    keys = [record.key for record in await redriven(tool_line)]
    assert sorted(Counter(keys).values()) == [1] * 40


async def letter(
    line: ToolLine,
    job_id: str | None,
    code: ErrorCode,
    *,
    value: bytes | None = b"",
    headers: Sequence[tuple[str, bytes | None]] = (),
    omit: bool = False,
    source: int | None = None,
    **fields: Any,
) -> bytes | None:
    """Write a job's record and its dead letter; return the record's value."""
    value = job_json(job_id or "", **{"image": PHOTO, **fields}) if value == b"" else value
    key = None if job_id is None else job_id.encode()
    jobs = line.kafka.jobs_topic
    offset = source
    if offset is None:
        written = {"headers": list(headers)} if headers else {}
        offset = await line.write(jobs, value or b"-", key=key, **written)  # type: ignore[arg-type]
    letter_headers = dead_letter_headers(
        list(headers),
        source=Source(topic=jobs, partition=0, offset=offset),
        error=ErrorInfo(code=code, message="why", stage="callback", retryable=False),
        exception="consumer.errors.JobFailed",
        failed_at=datetime.now(UTC),
        value_omitted=str(len(value or b"")) if omit else None,
    )
    batch = line.producer.create_batch()
    batch.append(key=key, value=None if omit else value, timestamp=None, headers=letter_headers)
    await (await line.producer.send_batch(batch, line.kafka.dead_letter_topic, partition=0))
    return value


async def fail_again(line: ToolLine, record: Any) -> None:
    """Write the dead letter of a redriven record."""
    headers = dead_letter_headers(
        list(record.headers),
        source=Source(topic=line.kafka.jobs_topic, partition=0, offset=record.offset),
        error=ErrorInfo(code="callback_rejected", message="why", stage="callback", retryable=False),
        exception="consumer.errors.JobFailed",
        failed_at=datetime.now(UTC),
    )
    await line.producer.send_and_wait(
        line.kafka.dead_letter_topic, record.value, key=record.key, headers=headers
    )


def put_photo(line: ToolLine) -> None:
    """Let the photo of the letters be there."""
    client = line.stack.s3.client()
    client.put_object(Bucket=UPLOAD_BUCKET, Key="there.png", Body=b"photo")
    client.close()


async def redriven(line: ToolLine) -> list[Any]:
    """Return the records of the jobs topic that were redriven."""
    records = await read_topic(line.kafka.kafka_bootstrap_servers, line.kafka.jobs_topic)
    return [record for record in records if "mask-redrive-of" in dict(record.headers)]


async def start(*arguments: str) -> Process:
    """Start `maskline dead-letters`."""
    return await start_command("dead-letters", *arguments)


async def maskline(*arguments: str) -> Ran:
    """Run `maskline dead-letters` to its end."""
    return await run_command("dead-letters", *arguments)
