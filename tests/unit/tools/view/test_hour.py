"""The last hour, minute by minute: the counts are those of all records looked at one by one."""

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from producer_tools.view.file import open_writer
from producer_tools.view.tables import Shown
from schemas.timestamp import timestamp_text
from tests.unit.tools.view.test_fold import START_MS, World

MINUTE = 60_000
HOUR = 60 * MINUTE
NOW = START_MS + 2 * HOUR + 12_345


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    path = tmp_path / "view.db"
    connection = open_writer(path, "line")
    yield World(connection, path)
    connection.close()


def test_each_minute_has_what_ended_and_what_was_left(world: World) -> None:
    """Of two hours of random jobs, the second is told, to the record."""
    draw = random.Random(4)
    records: list[tuple[int, int | None, str]] = []
    came, settled = START_MS, START_MS
    for _ in range(400):
        came += draw.randrange(30_000)
        settled = max(settled, came) + draw.randrange(25_000)
        state = draw.choice(("completed", "completed", "failed", "cancelled"))
        records.append((came, settled if settled <= NOW else None, state))
    records = [each for each in records if each[0] <= NOW]
    for came, ended, state in records:
        offset = world.job(at=came)
        if ended is not None:
            occurred = timestamp_text(datetime.fromtimestamp(ended / 1000, UTC))
            world.event(state, offset, occurred_at=occurred)
    world.fold()

    minutes = world.queries.last_hour(world.queries.totals(), NOW)

    assert len(minutes) == 60
    assert minutes[-1].at_ms <= NOW < minutes[-1].at_ms + MINUTE
    for minute in minutes:
        end = minute.at_ms + MINUTE
        for state in ("completed", "failed", "cancelled"):
            expected = sum(
                found == state and ended is not None and minute.at_ms <= ended < end
                for _, ended, found in records
            )
            assert expected == getattr(minute, state)
        left = sum(came < end and (ended is None or ended >= end) for came, ended, _ in records)
        assert left == minute.unsettled


def test_an_empty_view_has_an_empty_hour(world: World) -> None:
    """Nothing came, nothing ended."""
    minutes = world.queries.last_hour(world.queries.totals(), NOW)
    assert {(0, 0, 0, 0)} == {
        (each.completed, each.failed, each.cancelled, each.unsettled) for each in minutes
    }


def test_the_next_are_the_oldest_that_wait(world: World) -> None:
    """Those of batches in their places among the others."""
    first = world.job("a")
    second = world.job("b", batch={"batch_id": "x", "index": 0, "size": 1})
    world.job("c")
    world.event("processing", first)
    world.fold()
    assert [row.job_id for row in world.queries.next_up(1)] == ["b"]
    assert [row.job_id for row in world.queries.next_up(9)] == ["b", "c"]
    assert world.queries.next_up(1)[0].offset == second


def test_a_job_keeps_its_trace(world: World) -> None:
    """Its id alone, from the record's header; what is no trace is none."""
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    value = json.dumps({"job_id": "a", "user_id": "u", "image": "s3://b/k"}).encode()
    for header in (f"00-{trace}-00f067aa0ba902b7-01", "no trace"):
        offset = world.raw_job(value)
        world.jobs[-1] = world.jobs[-1].__class__(
            offset, value, b"a", START_MS, headers=(("traceparent", header.encode()),)
        )
        world.fold()
        story = world.queries.record(offset)
        assert story is not None
        assert story.job.get("trace_id") == (trace if header != "no trace" else None)


def test_what_went_before_a_record_is_found(world: World) -> None:
    """So that its events can be read from there on."""
    offsets = [world.job(f"j{n}") for n in range(5)]
    for offset in offsets[:3]:
        world.event("completed", offset)
    world.fold()
    row = world.queries.record(offsets[4])
    assert row is not None
    assert row.row.shown is Shown.QUEUED
    assert world.queries.event_before(row.row, 2) == 2
    assert world.queries.event_before(row.row, 9) is None


def test_the_questions_only_read(world: World) -> None:
    """Threads beside the one that folds ask them."""
    world.connection.execute("PRAGMA query_only = 1")
    world.queries.last_hour(world.queries.totals(), NOW)
    world.queries.next_up(5)
