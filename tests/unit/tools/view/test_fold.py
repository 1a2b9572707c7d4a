"""Folding: in whatever portions the topics are read, the rows are those of all records at once."""

import json
import random
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from producer_tools.view.file import open_writer, transaction
from producer_tools.view.fold import Arrived, Fold, LineTopics
from producer_tools.view.queries import PASSED_OVER, Queries
from producer_tools.view.sweep import KEEP_MS, sweep
from producer_tools.view.tables import Shown
from tests.unit.tools.view.reference import Raw, expected_rows

TOPICS = LineTopics("jobs", "status", "control", "id-1")
START_MS = 1_700_000_000_000
RESULT = {"stored_keys": {}, "width": 1, "height": 1}
ERROR = {"code": "invalid_image", "message": "m", "stage": "s", "retryable": False}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "view.db"


@pytest.fixture
def connection(path: Path) -> Iterator[sqlite3.Connection]:
    connection = open_writer(path, "line")
    yield connection
    connection.close()


class World:
    """Topics in memory, and a view that reads them in portions."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self.connection = connection
        self.path = path
        self.jobs: list[Raw] = []
        self.status: list[Raw] = []
        self.control: list[Raw] = []
        self.read = [0, 0, 0]
        self.queries = Queries(connection)

    def job(self, job_id: str = "a", *, at: int = START_MS, **fields: Any) -> int:
        """Write a job. Offsets have gaps."""
        value = {"job_id": job_id, "user_id": "u", "image": "s3://b/k", **fields}
        return self.raw_job(json.dumps(value).encode(), key=job_id.encode(), at=at)

    def raw_job(self, value: bytes | None, *, key: bytes = b"key", at: int = START_MS) -> int:
        offset = self.jobs[-1].offset + 2 if self.jobs else 0
        self.jobs.append(Raw(offset, value, key, at))
        return offset

    def event(self, state: str, offset: int, **fields: Any) -> None:
        """Write an event."""
        headers = fields.pop("headers", ())
        event = {
            "event_id": "e",
            "job_id": "a",
            "state": state,
            "occurred_at": "2023-11-14T22:13:30.000Z",
            "attempt": 1,
            "source": {"topic": "jobs", "partition": 0, "offset": offset},
            "worker": "w",
            "result": {"stored_keys": {}, "width": 1, "height": 1}
            if state == "completed"
            else None,
            "error": {"code": "invalid_image", "message": "m", "stage": "s", "retryable": False}
            if state in ("failed", "retrying")
            else None,
            **fields,
        }
        value = json.dumps(event).encode()
        self.status.append(Raw(len(self.status), value, headers=headers))

    def cancel(self, job_id: str, before: int) -> None:
        """Write a cancel."""
        value = {
            "job_id": job_id,
            "before_offset": before,
            "requested_at": "2023-11-14T22:13:25.000Z",
        }
        self.control.append(Raw(len(self.control), json.dumps(value).encode()))

    def fold(self, *counts: int, passed_through: int = -1) -> int:
        """Fold so many more records of each topic, or all."""
        topics = (self.jobs, self.status, self.control)
        ends = [
            min(len(topic), read + count)
            for topic, read, count in zip(topics, self.read, counts or (10**9,) * 3, strict=True)
        ]
        jobs, status, control = (
            topic[read:end] for topic, read, end in zip(topics, self.read, ends, strict=True)
        )
        positions = {
            "jobs": jobs[-1].offset + 1 if jobs else self._jobs_read(),
            "status": ends[1],
            "control": ends[2],
        }
        arrived = Arrived(
            jobs=jobs,
            status=status,
            control=control,
            positions=positions,
            jobs_end=self.jobs[-1].offset + 1 if self.jobs else 0,
            passed_through=passed_through,
        )
        with transaction(self.connection, self.path):
            waiting = Fold(self.connection, TOPICS).fold(arrived)
        self.read = [ends[0], ends[1] - waiting, ends[2]]
        return waiting

    def _jobs_read(self) -> int:
        return self.jobs[self.read[0] - 1].offset + 1 if self.read[0] else 0

    def state(self, offset: int) -> str:
        """Return the shown state of a record."""
        story = self.queries.record(offset)
        assert story is not None
        return story.row.shown.name.lower()


@pytest.fixture
def world(connection: sqlite3.Connection, path: Path) -> World:
    return World(connection, path)


def check(world: World) -> None:
    """Compare all rows, and all counts, with what they must be."""
    expected = expected_rows(world.jobs, world.status, world.control)
    found = {}
    for (offset,) in world.connection.execute("SELECT offset FROM records").fetchall():
        story = world.queries.record(offset)
        assert story is not None
        row = story.row
        found[offset] = (row.shown, row.job_id, bool(row.settled), row.attempt)
    assert {
        offset: (row.shown, row.job_id, row.settled, row.attempt)
        for offset, row in expected.items()
    } == found
    counted = Counter(row.shown for row in expected.values())
    assert {shown: counted[shown] for shown in Shown} == world.queries.totals().records
    queued = [offset for offset, row in sorted(expected.items()) if row.shown is Shown.QUEUED]
    for place, offset in enumerate(queued, start=1):
        story = world.queries.record(offset)
        assert story is not None
        assert place == world.queries.position(story.row)
    check_batches(world)
    ended = sum(row.shown.ended for row in expected.values())
    assert ended == world.queries.ended_before(2**60)


def check_batches(world: World) -> None:
    """Compare the counts of each batch with its rows."""
    for (batch_id,) in world.connection.execute("SELECT batch_id FROM batches").fetchall():
        batch = world.queries.batch(batch_id)
        assert batch is not None
        rows = world.queries.batch_records(batch_id)
        assert len({row.batch_index for row in rows}) == len(rows)
        counted = Counter(row.shown for row in rows)
        assert [counted[shown] for shown in Shown] == batch.counts
        assert batch.state() is batch.shown
    shown = [Shown(row[0]) for row in world.connection.execute("SELECT shown FROM batches")]
    singles = [
        Shown(row[0])
        for row in world.connection.execute("SELECT shown FROM records WHERE NOT batched")
    ]
    counted = Counter(shown + singles)
    assert {each: counted[each] for each in Shown} == world.queries.totals().items


@pytest.mark.parametrize("seed", range(20))
def test_rows_are_those_of_all_records_at_once(world: World, seed: int) -> None:
    """Random topics in random portions: garbage, replays, late events, cancels, batches."""
    draw = random.Random(seed)
    write_anything(world, draw)
    while world.read != [len(world.jobs), len(world.status), len(world.control)]:
        world.fold(*(draw.choice((0, 1, 3, 50)) for _ in range(3)))
    check(world)


def write_anything(world: World, draw: random.Random, jobs: int = 60) -> None:
    """Write topics as a line may leave them."""
    settled = 0
    begun: list[int] = []
    for number in range(jobs):
        name = f"j{draw.randrange(20)}"
        batch = {"batch_id": f"b{draw.randrange(3)}", "index": draw.randrange(4), "size": 4}
        if draw.random() < 0.1:
            world.raw_job(draw.choice((None, b"{", b"\xff", b'{"job_id": 1}')), key=b"\xff" * 600)
        else:
            world.job(name, batch=batch if draw.random() < 0.5 else None)
        if draw.random() < 0.15:
            before = draw.randrange(2 * jobs)
            world.cancel(f"j{draw.randrange(20)}", before)
        if draw.random() < 0.5 and settled <= number:
            offset = world.jobs[settled].offset
            world.event("processing", offset, attempt=draw.randrange(1, 4))
            begun.append(offset)
            if draw.random() < 0.3:
                world.event("retrying", offset)
            world.event("completed", offset, replay_id="r")
            if draw.random() < 0.8:
                world.event(draw.choice(("completed", "failed", "cancelled")), offset)
            settled += draw.choice((1, 1, 1, 2))
        if begun and draw.random() < 0.2:
            world.event(draw.choice(("processing", "retrying", "completed")), draw.choice(begun))
        if draw.random() < 0.1:
            world.status.append(Raw(len(world.status), draw.choice((None, b"no", b"[]"))))


def test_an_event_waits_for_its_job(world: World) -> None:
    offset = world.job()
    world.event("processing", offset)
    world.event("completed", offset)
    assert 2 == world.fold(0, 2, 0)
    assert 0 == world.fold(1, 2, 0)
    assert "completed" == world.state(offset)


def test_an_event_of_no_record_is_passed_by(world: World) -> None:
    """It must not hold up those after it."""
    offset = world.job()
    world.event("processing", 10**15)
    world.event("completed", offset)
    assert 0 == world.fold()
    assert "completed" == world.state(offset)


def test_an_event_of_a_jobs_topic_of_before_is_passed_by(world: World) -> None:
    """A topic that was made anew counts from 0 again, and the status topic stays."""
    offset = world.job()
    world.event("completed", offset, headers=[("ce_topicid", b"id-0")])
    world.fold()
    assert "queued" == world.state(offset)
    world.event("completed", offset, headers=[("ce_topicid", b"id-1")])
    world.fold()
    assert "completed" == world.state(offset)


def test_a_record_that_was_passed_over_has_failed(world: World) -> None:
    """And so its batch ends."""
    batch = {"batch_id": "b", "size": 2}
    first = world.job("a", batch={**batch, "index": 0})
    second = world.job("b", batch={**batch, "index": 1})
    world.event("completed", second)
    world.fold()
    story = world.queries.record(first)
    assert story is not None
    assert (Shown.FAILED, PASSED_OVER) == (story.row.shown, story.error and story.error[1])
    found = world.queries.batch("b")
    assert found is not None
    assert Shown.COMPLETED is found.shown


def test_a_committed_offset_passes_over(world: World) -> None:
    """Also where no later record has ended. A terminal event after all still counts."""
    first, second = world.job("a"), world.job("b")
    world.fold()
    world.fold(passed_through=first)
    assert ["failed", "queued"] == [world.state(first), world.state(second)]
    world.event("processing", first)
    world.fold()
    assert "failed" == world.state(first)
    world.event("completed", first)
    world.fold()
    assert "completed" == world.state(first)


def test_a_cancel_shows_at_once_until_the_job_begins_all_the_same(world: World) -> None:
    offset = world.job()
    world.cancel("a", 100)
    world.fold()
    assert "cancelled" == world.state(offset)
    world.event("processing", offset)
    world.fold()
    assert "processing" == world.state(offset)
    later = world.job()
    world.cancel("a", later)  # not for this record
    world.fold()
    assert ["cancelled", "queued"] != [world.state(offset), world.state(later)]


def test_the_position_never_rises(world: World) -> None:
    offsets = [world.job(f"j{number}") for number in range(600)]
    world.fold()
    last = world.queries.record(offsets[-1])
    assert last is not None
    places = [world.queries.position(last.row)]
    for number, offset in enumerate(offsets[:-1]):
        if number % 3 == 0:
            world.cancel(f"j{number}", 10_000)
        world.event("processing", offset)
        world.fold()
        places.append(world.queries.position(last.row))
    assert (600, 1) == (places[0], places[-1])
    assert sorted(places, key=lambda place: -(place or 0)) == places


def test_an_index_counts_once(world: World) -> None:
    """A batch whose first try failed is submitted again: the latest record of an index counts."""
    batch = {"batch_id": "b", "size": 2}
    world.event("failed", world.job("a", batch={**batch, "index": 0}))
    world.fold()
    world.event("completed", world.job("a", batch={**batch, "index": 0}))
    world.event("completed", world.job("b", batch={**batch, "index": 1}))
    world.fold()
    check(world)
    found = world.queries.batch("b")
    assert found is not None
    assert (Shown.COMPLETED, [0, 0, 0, 2, 0, 0]) == (found.shown, found.counts)


def test_pages_are_the_newest_first_with_their_total(world: World) -> None:
    offsets = [world.job(f"j{number}") for number in range(50)]
    batch = {"batch_id": "b", "size": 3}
    batched = [world.job(f"b{index}", batch={**batch, "index": index}) for index in range(3)]
    for offset in offsets[:10]:
        world.event("completed", offset)
    world.fold()
    page = world.queries.page([Shown.QUEUED], limit=5)
    assert 43 == page.total
    assert [*batched[::-1], *offsets[:-3:-1]] == [row.offset for row in page.rows]
    more = world.queries.page([Shown.QUEUED], limit=2, before=page.rows[-1].offset)
    assert [offsets[-3], offsets[-4]] == [row.offset for row in more.rows]
    items = world.queries.items(limit=2)
    assert (51, "b") == (items.total, getattr(items.items[0], "batch_id", None))
    assert getattr(items.items[1], "offset", None) == offsets[-1]


def test_rows_live_for_seven_days(world: World) -> None:
    """And a batch of which a record never came ends then."""
    world.job("old", at=START_MS)
    world.job("half", at=START_MS, batch={"batch_id": "b", "index": 0, "size": 2})
    world.job("half", at=START_MS + 1000, batch={"batch_id": "b", "index": 0, "size": 2})
    world.fold()
    with transaction(world.connection, world.path):
        assert not sweep(world.connection, START_MS + KEEP_MS + 1)
    assert world.queries.job("old") is None
    assert 1 == sum(world.queries.totals().records.values())
    found = world.queries.batch("b")
    assert found is not None
    assert (1, Shown.QUEUED) == (found.missing, found.shown)
    world.event("completed", world.jobs[-1].offset)
    world.fold()
    found = world.queries.batch("b")
    assert found is not None
    assert Shown.COMPLETED is found.shown
    with transaction(world.connection, world.path):
        sweep(world.connection, START_MS + 2 * KEEP_MS)
    assert world.queries.batch("b") is None
    assert 0 == sum(world.queries.totals().items.values()) == world.queries.ended_before(2**60)
