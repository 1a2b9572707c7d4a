"""Records that a broker accepts and that no consumer of before could take: the line goes on."""

import asyncio
import json
import random
from pathlib import Path
from typing import Any

import pytest

from tests.support.bench import Bench
from tests.support.consumer_process import ConsumerProcess
from tests.support.raw_batches import (
    Latin,
    Plain,
    batch_of,
    repacked,
    send_batch,
    wide_window,
    with_offset,
)
from tests.support.topics import TopicRecord, following

pytestmark = pytest.mark.integration

BOMB_BYTES = 200_000_000
NOISE = random.Random(11).randbytes(600_000)


def job(job_id: str, image: str, *, key: bytes | None = None) -> Plain:
    """Give the record of a job."""
    value = json.dumps({"job_id": job_id, "user_id": "u", "image": image}).encode()
    return (job_id.encode() if key is None else key, value, ())


@pytest.mark.parametrize("codec", ["gzip", "lz4", "zstd"])
async def test_a_decompression_bomb_fails_and_its_neighbours_are_served(
    bench: Bench, codec: str
) -> None:
    """And the process doesn't grow by what it would unpack to."""
    photo = bench.put_photo()
    consumer = await working(bench, photo)
    before = peak_bytes(consumer)
    records = [job("before", photo), (b"k", bytes(BOMB_BYTES), [("h", b"1")]), job("after", photo)]
    topic, servers = bench.line.jobs, bench.bootstrap
    first = await send_batch(servers, topic, batch_of(records, codec))

    events = await bench.terminal_events(4)

    assert [event["source"]["offset"] for event in events[1:]] == [first, first + 1, first + 2]
    assert codes(events[1:]) == [None, "invalid_message", None]
    assert "more than 16777216" in events[2]["error"]["message"]
    (letter,) = await dead_letters(bench, 1)
    assert (letter.key, letter.value) == (b"k", None)
    assert letter.headers[0] == ("h", b"1")
    assert dict(letter.headers)["mask-value-omitted"] == str(BOMB_BYTES).encode()
    assert peak_bytes(consumer) - before < 64 * 1024 * 1024


async def test_a_header_whose_name_is_no_utf_8_fails_its_record_alone(bench: Bench) -> None:
    """Its dead letter has all but that header."""
    photo = bench.put_photo()
    odd: Plain = (b"k", b'{"a":1}', [("good", b"1"), (Latin("size"), b"2")])
    records = [job("before", photo), odd, job("after", photo)]
    await send_batch(bench.bootstrap, bench.line.jobs, batch_of(records))
    bench.start()

    events = await bench.terminal_events(3)

    assert codes(events) == [None, "invalid_message", None]
    assert "UTF-8" in events[1]["error"]["message"]
    (letter,) = await dead_letters(bench, 1)
    assert (letter.key, letter.value) == (b"k", b'{"a":1}')
    assert letter.headers[0] == ("good", b"1")
    assert "mask-value-omitted" not in dict(letter.headers)


async def test_a_batch_that_cannot_be_unpacked_ends_each_of_its_offsets(bench: Bench) -> None:
    """Its zstd window of 128 MiB is more than we give; what stands around it is served."""
    photo = bench.put_photo()
    servers = bench.bootstrap
    await bench.submit("before", photo)
    await send_batch(
        servers, bench.line.jobs, repacked(batch_of([job("x", photo)] * 3), "zstd", wide_window)
    )
    await bench.submit("after", photo)
    bench.start()

    events = await bench.terminal_events(5)

    assert [event["source"]["offset"] for event in events] == list(range(5))
    assert codes(events) == [None, *["invalid_message"] * 3, None]
    letters = await dead_letters(bench, 3)
    assert {dict(letter.headers)["mask-value-omitted"] for letter in letters} == {b"unreadable"}


async def test_a_record_that_names_another_offset_passes_over_no_other(bench: Bench) -> None:
    """Brokers don't look at it, and what it names would be committed."""
    photo = bench.put_photo()
    servers = bench.bootstrap
    batch = with_offset(batch_of([(b"k", b"v", ())] * 3), 1000)
    await send_batch(servers, bench.line.jobs, batch)
    await bench.submit("after", photo)
    consumer = bench.start()

    events = await bench.terminal_events(4)

    assert [event["source"]["offset"] for event in events] == [0, 1, 2, 3]
    assert codes(events) == ["invalid_message"] * 3 + [None]
    await consumer.until_answered("/stats", lambda _, stats: stats["position"] == 4)


async def test_an_odd_control_record_is_passed_over_and_later_cancels_are_heard(
    bench: Bench,
) -> None:
    """A bomb and a header that is no UTF-8, before the consumer starts and while it runs."""
    photo = bench.put_photo()
    servers = bench.bootstrap
    odd = batch_of([(b"k", b"{}", [(Latin("size"), b"1")]), (b"k", bytes(BOMB_BYTES), ())], "zstd")
    await send_batch(servers, bench.line.control, odd)
    bench.stack.mask_assets.misbehave(jobs="stuck", mode="status", status=401)
    await bench.submit("stuck", photo)
    consumer = bench.start()
    await consumer.until_holding("MASK_COMPONENT_SECRET")
    await send_batch(servers, bench.line.control, odd)
    cancel = {"job_id": "stuck", "before_offset": 1, "requested_at": "2026-11-22T10:00:00.000Z"}
    await bench.send(bench.line.control, "stuck", cancel)

    assert (await bench.terminal_events(1))[0]["state"] == "cancelled"
    _, ready = await consumer.get("/readyz")
    assert ready["checks"]["control_heard"]["ok"]


async def test_an_odd_status_record_does_not_keep_a_lane_from_opening(bench: Bench) -> None:
    """Whoever may write to the status topic: the ledger passes over what isn't an event."""
    servers = bench.bootstrap
    odd = batch_of([(b"k", b"{}", [(Latin("size"), b"1")]), (b"k", bytes(BOMB_BYTES), ())], "zstd")
    await send_batch(servers, bench.line.status, odd)
    await bench.submit("one", bench.put_photo())
    bench.start()

    async with following(bench.bootstrap, bench.line.status, start=2) as records:
        states = [(await anext(records)).json()["state"] for _ in range(2)]
    assert states == ["processing", "completed"]


async def test_a_key_that_is_too_long_is_left_out_of_the_events(bench: Bench) -> None:
    """The topic took it compressed; the events of its job have no key then."""
    record = job("one", bench.put_photo(), key=b"k" * 1_100_000)
    servers = bench.bootstrap
    await send_batch(servers, bench.line.jobs, batch_of([record], "zstd"))
    bench.start()

    assert (await bench.terminal_events(1))[0]["state"] == "completed"
    keys = {record.key for record in await read(bench, bench.line.status, 2)}
    assert keys == {None}


async def test_a_dead_letter_that_does_not_fit_goes_without_its_value(bench: Bench) -> None:
    """600 KB of noise three times over: zstd sees it, gzip doesn't."""
    servers = bench.bootstrap
    records: list[Plain] = [(b"k", NOISE * 3, [("h", b"1")])]
    await send_batch(servers, bench.line.jobs, batch_of(records, "zstd"))
    await bench.submit("after", bench.put_photo())
    bench.start()

    assert codes(await bench.terminal_events(2)) == ["invalid_message", None]
    (letter,) = await dead_letters(bench, 1)
    assert (letter.key, letter.value, letter.headers[0]) == (b"k", None, ("h", b"1"))
    assert dict(letter.headers)["mask-value-omitted"] == b"1800000"


async def test_a_dead_letter_whose_headers_do_not_fit_goes_without_them(bench: Bench) -> None:
    """And one whose key doesn't fit either goes without that: why it failed always fits."""
    servers = bench.bootstrap
    wide: Plain = (b"k", b"{", [(f"h{number}", NOISE) for number in range(3)])
    long: Plain = (NOISE * 3, b"{", ())
    await send_batch(servers, bench.line.jobs, batch_of([wide, long], "zstd"))
    bench.start()

    assert codes(await bench.terminal_events(2)) == ["invalid_message"] * 2
    first, second = await dead_letters(bench, 2)
    assert (first.key, first.value, len(first.headers)) == (b"k", None, 9)
    assert (second.key, second.value, len(second.headers)) == (None, None, 9)


async def working(bench: Bench, photo: str) -> ConsumerProcess:
    """Start a consumer and have it do a first job."""
    await bench.submit("first", photo)
    consumer = bench.start()
    await bench.terminal_events(1)
    return consumer


def peak_bytes(consumer: ConsumerProcess) -> int:
    """The most memory that the process has had."""
    status = Path(f"/proc/{consumer._program.pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def codes(events: list[dict[str, Any]]) -> list[str | None]:
    """The events' error codes."""
    return [event["error"] and event["error"]["code"] for event in events]


async def dead_letters(bench: Bench, count: int) -> list[TopicRecord]:
    """Read so many dead letters."""
    return await read(bench, bench.line.dead_letters, count)


async def read(bench: Bench, topic: str, count: int) -> list[TopicRecord]:
    """Read so many records, as a subscriber does."""
    found: list[TopicRecord] = []
    async with asyncio.timeout(60), following(bench.bootstrap, topic) as records:
        async for record in records:
            found.append(record)
            if len(found) == count:
                break
    return found
