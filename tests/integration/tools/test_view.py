"""The view on a real Kafka: killed anywhere it stays right, and it knows whose file it has."""

import asyncio
import gzip
import multiprocessing
import os
import random
import sqlite3
import uuid
from contextlib import closing
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from consumer.kafka import topics
from consumer.kafka.topic_ids import topic_id
from producer_tools.errors import DiskFullError, ServiceError, ViewError
from producer_tools.view import file, view
from producer_tools.view.file import LockedError, open_reader
from producer_tools.view.folder import Folder
from producer_tools.view.queries import Queries
from producer_tools.view.tables import Shown
from producer_tools.view.view import SharedView
from schemas.control import Cancel
from tests.integration.tools.conftest import ToolLine, event, job_json
from tests.integration.tools.folding import fold_and_tell, hold
from tests.support.raw_batches import Latin, batch_of, repacked, send_batch
from tests.unit.tools.view.reference import expected_rows

pytestmark = pytest.mark.integration

KILLS = 20
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.integration.tools.folding"])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The view's file. Neither it nor its folder is there yet."""
    return tmp_path / "view" / "view.db"


async def states(line: ToolLine, path: Path) -> dict[int, Shown]:
    """Bring the view up to date, and return the states of all records by offset."""
    async with Folder(line.kafka, path) as folder:
        await folder.catch_up()
        page = await folder.ask(lambda queries: queries.page(limit=10_000))
    return {row.offset: row.shown for row in page.rows}


async def write_everything(line: ToolLine, jobs: int, draw: random.Random) -> None:
    """Write topics as a line leaves them: gaps, aborted records, garbage, replays, cancels."""
    transactional = AIOKafkaProducer(
        bootstrap_servers=line.kafka.kafka_bootstrap_servers, transactional_id=uuid.uuid4().hex
    )
    async with transactional:
        for first in range(0, jobs, 100):
            await transactional.begin_transaction()
            for number in range(first, first + 100):
                name = f"j{draw.randrange(jobs // 2)}"
                value = draw.choice((job_json(name), job_json(name), b"\xff{", None))
                await transactional.send(line.kafka.jobs_topic, value, key=name.encode())
                if draw.random() < 0.1:
                    cancel = Cancel(
                        job_id=name, before_offset=2 * number, requested_at="2026-01-01T00:00:00Z"
                    )
                    await transactional.send(line.kafka.control_topic, cancel.write())
            if draw.random() < 0.2:
                await transactional.abort_transaction()
            else:
                await transactional.commit_transaction()
    for record in await line.records(line.kafka.jobs_topic):
        topic, offset = line.kafka.jobs_topic, record.offset
        for state in ("processing", "retrying", "completed"):
            if draw.random() < 0.8:
                value = event(state, offset, None, topic=topic).write()
                await line.producer.send(line.kafka.status_topic, value)
        if draw.random() < 0.1:
            value = event("failed", offset, None, topic=topic, replay_id="r").write()
            await line.producer.send(line.kafka.status_topic, value)
    await line.producer.flush()


async def test_killed_anywhere_it_stays_right(tool_line: ToolLine, path: Path) -> None:
    """Its rows are those computed straight from the topics by other code."""
    draw = random.Random(0)
    await write_everything(tool_line, 2000, draw)
    kills = 0
    for _ in range(KILLS):
        kills += await asyncio.to_thread(_killed, tool_line, path, draw.randrange(3))
    assert kills >= KILLS - 5  # the last rounds may find nothing left to fold
    found = await states(tool_line, path)
    kafka = tool_line.kafka
    expected = expected_rows(
        *[
            await tool_line.records(name)
            for name in (kafka.jobs_topic, kafka.status_topic, kafka.control_topic)
        ]
    )
    assert {offset: row.shown for offset, row in expected.items()} == found
    with closing(open_reader(path)) as connection:
        assert ("ok",) == connection.execute("PRAGMA integrity_check").fetchone()


def _killed(line: ToolLine, path: Path, folds: int) -> bool:
    """Fold in a process and kill it after so many folds, somewhere in the next. Tell if so."""
    reading, told = _context.Pipe(duplex=False)
    process = _context.Process(target=fold_and_tell, args=(line.kafka, path, 100, told))
    process.start()
    told.close()
    said = [reading.recv() for _ in range(folds)]
    if "done" not in said and folds == 0:
        reading.poll(60)  # somewhere in the first fold
    process.kill()
    process.join()
    reading.close()
    return "done" not in said


async def test_it_goes_on_where_it_was(tool_line: ToolLine, path: Path) -> None:
    first = await tool_line.job("a")
    assert {first: Shown.QUEUED} == await states(tool_line, path)
    await tool_line.event("completed", first)
    second = await tool_line.job("b")
    assert {first: Shown.COMPLETED, second: Shown.QUEUED} == await states(tool_line, path)


async def test_hostile_records_are_rows(tool_line: ToolLine, path: Path) -> None:
    """No record is an exception: what is no job has failed, what is no event is passed by."""
    kafka = tool_line.kafka
    big = b"\xff" * 1_000_000
    offsets = [
        await tool_line.write(kafka.jobs_topic, None, key=big),
        await tool_line.write(kafka.jobs_topic, b"[" * 900_000),
        await tool_line.write(kafka.jobs_topic, b'{"job_id": "a", "job_id": "b"}'),
        await tool_line.write(kafka.jobs_topic, job_json("a", user_id="\ud800")),
    ]
    for topic in (kafka.status_topic, kafka.control_topic):
        for value in (None, b"[" * 900_000, b"\xff", b'{"job_id": "a"}', b"null"):
            await tool_line.write(topic, value, key=big[:1000])
    await tool_line.event("completed", 10**12)
    good = await tool_line.job("a")
    await tool_line.event("processing", good)
    found = await states(tool_line, path)
    assert dict.fromkeys(offsets, Shown.FAILED) | {good: Shown.PROCESSING} == found
    with closing(open_reader(path)) as connection:
        story = Queries(connection).record(offsets[0])
    assert story is not None
    assert "invalid_message" == (story.error or [""])[0]
    assert 128 == len(story.row.job_id)


@pytest.mark.parametrize("other", ["cluster", "topics", "version", "rubbish"])
async def test_a_file_of_something_else_is_rebuilt(
    tool_line: ToolLine, path: Path, other: str
) -> None:
    offset = await tool_line.job("a")
    await states(tool_line, path)
    if other == "rubbish":
        path.write_bytes(b"rubbish" * 1000)  # noqa: ASYNC240  # some bytes of a local disk
    else:
        statement = {
            "cluster": "UPDATE view SET identity = replace(identity, '[\"', '[\"x')",
            "topics": "UPDATE view SET identity = replace(identity, '.', '-')",
            "version": "PRAGMA user_version = 0",
        }[other]
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("UPDATE records SET shown = 4")
            connection.execute(statement)
            connection.commit()
    assert {offset: Shown.QUEUED} == await states(tool_line, path)


async def test_topics_that_end_before_the_file_are_others(tool_line: ToolLine, path: Path) -> None:
    for _ in range(3):
        await tool_line.job("a")
    await states(tool_line, path)
    await tool_line.delete_topics()
    await topics.create(tool_line.kafka)
    offset = await tool_line.job("b")
    assert {offset: Shown.QUEUED} == await states(tool_line, path)


async def test_nobody_else_may_look_into_it(tool_line: ToolLine, path: Path) -> None:
    await tool_line.job("a")
    umask = os.umask(0)
    try:
        await states(tool_line, path)
    finally:
        os.umask(umask)
    assert 0o700 == path.parent.stat().st_mode & 0o777
    assert {0o600} == {found.stat().st_mode & 0o777 for found in path.parent.iterdir()}


@pytest.mark.parametrize("prepare", ["open to others", "a link", "a file"])
async def test_a_folder_that_is_not_only_ours_is_refused(
    tool_line: ToolLine, path: Path, prepare: str
) -> None:
    if prepare == "open to others":
        path.parent.mkdir()
        path.parent.chmod(0o755)
    elif prepare == "a link":
        (path.parent.parent / "elsewhere").mkdir(mode=0o700)
        path.parent.symlink_to(path.parent.parent / "elsewhere")
    else:
        path.parent.write_text("")
    with pytest.raises(ViewError, match="VIEW_FILE"):
        await states(tool_line, path)


async def test_a_link_to_another_file_is_not_followed(tool_line: ToolLine, path: Path) -> None:
    path.parent.mkdir(mode=0o700)
    path.symlink_to(path.parent.parent / "elsewhere")  # noqa: ASYNC240  # the same
    with pytest.raises(ViewError, match="VIEW_FILE"):
        await states(tool_line, path)


async def test_a_full_disk_is_one_sentence_and_nothing_half_done(
    tool_line: ToolLine, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await tool_line.job("a")
    await states(tool_line, path)
    for number in range(300):
        await tool_line.producer.send(tool_line.kafka.jobs_topic, job_json(f"j{number}" * 20))
    await tool_line.producer.flush()
    connect = file._open_checked

    def connect_to_a_small_disk(path: Path, identity: str) -> sqlite3.Connection:
        connection = connect(path, identity)
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")
        return connection

    with monkeypatch.context() as patched:
        patched.setattr(file, "_open_checked", connect_to_a_small_disk)
        with pytest.raises(DiskFullError, match="no room for VIEW_FILE"):
            await states(tool_line, path)
    with closing(open_reader(path)) as connection:
        queries = Queries(connection)
        assert [first] == [row.offset for row in queries.page(limit=9).rows]
    assert 301 == len(await states(tool_line, path))


async def test_several_processes_share_one_view(tool_line: ToolLine, path: Path) -> None:
    """One folds, the others read. When it ends, another goes on."""
    offset = await tool_line.job("a")
    async with Folder(tool_line.kafka, path) as folder, SharedView(tool_line.kafka, path) as shared:
        following = asyncio.create_task(folder.follow())
        await shared.catch_up()
        assert await shared.ask(lambda queries: queries.record(offset)) is not None
        following.cancel()
        await asyncio.wait([following])
        await folder.__aexit__()
        later = await tool_line.job("b")
        await shared.catch_up()
        assert await shared.ask(lambda queries: queries.record(later)) is not None


async def test_a_process_that_folds_no_more_is_named(
    tool_line: ToolLine, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view, "STALLED_SECONDS", 0.5)
    await tool_line.job("a")
    reading, told = _context.Pipe(duplex=False)
    process = _context.Process(target=hold, args=(tool_line.kafka, path, told))
    process.start()
    try:
        await asyncio.to_thread(reading.recv)
        async with SharedView(tool_line.kafka, path) as shared:
            with pytest.raises(LockedError, match="locked by a process"):
                await shared.catch_up()
    finally:
        process.kill()
        process.join()


async def test_a_process_of_another_line_is_named(tool_line: ToolLine, path: Path) -> None:
    other = tool_line.kafka.model_copy(update={"consumer_group": "another"})
    async with Folder(tool_line.kafka, path):
        with pytest.raises(LockedError, match="another line"):
            async with SharedView(other, path):
                pass


async def test_a_missing_topic_is_named(tool_line: ToolLine, path: Path) -> None:
    kafka = tool_line.kafka.model_copy(update={"control_topic": "absent"})
    with pytest.raises(ServiceError, match=r"absent.*maskline topics create"):
        async with SharedView(kafka, path):
            pass


async def test_a_cancelled_fold_is_not_lost(tool_line: ToolLine, path: Path) -> None:
    """The next call goes on with it."""
    offset = await tool_line.job("a")
    async with Folder(tool_line.kafka, path) as folder:
        for _ in range(20):
            task = asyncio.create_task(folder.fold_next())
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
        await folder.catch_up()
        assert await folder.ask(lambda queries: queries.record(offset)) is not None


async def test_records_before_the_committed_offset_were_passed_over(
    tool_line: ToolLine, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where nothing has ended behind them."""
    monkeypatch.setattr("producer_tools.view.folder._CHECK_SECONDS", 0.1)
    first, second = await tool_line.job("a"), await tool_line.job("b")
    await tool_line.event("processing", first)
    await tool_line.commit(second)
    async with Folder(tool_line.kafka, path) as folder, asyncio.timeout(30):
        shown = None
        while shown is not Shown.FAILED:
            await folder.fold_next()
            story = await folder.ask(lambda queries: queries.record(first))
            shown = story and story.row.shown
        story = await folder.ask(lambda queries: queries.record(second))
        assert story is not None
        assert Shown.QUEUED is story.row.shown


async def test_batches_that_no_client_can_read_are_rows(tool_line: ToolLine, path: Path) -> None:
    """A bomb, and a header whose name is no UTF-8: their neighbours are read."""
    servers = tool_line.kafka.kafka_bootstrap_servers
    good = job_json("good")
    odd = batch_of([(b"a", good, []), (b"b", good, [(Latin("x"), b"")]), (b"c", good, [])])
    bomb = repacked(batch_of([(b"d", bytes(20_000_000), [])]), "gzip", gzip.compress)
    kafka = tool_line.kafka
    await send_batch(servers, kafka.jobs_topic, odd)
    await send_batch(servers, kafka.jobs_topic, bomb)
    for topic in (kafka.status_topic, kafka.control_topic):
        await send_batch(servers, topic, odd)
        await send_batch(servers, topic, bomb)
    await tool_line.event("completed", 0)
    failed, queued, completed = Shown.FAILED, Shown.QUEUED, Shown.COMPLETED
    assert {0: completed, 1: failed, 2: queued, 3: failed} == await states(tool_line, path)


async def test_records_that_retention_took_were_passed_over(
    tool_line: ToolLine, path: Path, admin: AIOKafkaAdminClient
) -> None:
    first, second = await tool_line.job("a"), await tool_line.job("b")
    assert {first: Shown.QUEUED, second: Shown.QUEUED} == await states(tool_line, path)
    partition = TopicPartition(tool_line.kafka.jobs_topic, 0)
    await admin.delete_records({partition: RecordsToDelete(second)})
    await tool_line.job("c")
    found = await states(tool_line, path)
    assert [Shown.FAILED, Shown.QUEUED, Shown.QUEUED] == list(found.values())[::-1]


async def test_a_jobs_topic_made_anew_is_noticed(
    tool_line: ToolLine, path: Path, monkeypatch: pytest.MonkeyPatch, admin: AIOKafkaAdminClient
) -> None:
    """By its id, however many records it has; the events of the one before mean nothing."""
    monkeypatch.setattr("producer_tools.view.folder._CHECK_SECONDS", 0.1)
    old = await topic_id(admin._client, tool_line.kafka.jobs_topic)
    await tool_line.job("old")
    await tool_line.event("completed", 0, headers=[("ce_topicid", old.encode())])
    async with Folder(tool_line.kafka, path) as folder, asyncio.timeout(60):
        await folder.catch_up()
        await tool_line.delete_topics(tool_line.kafka.jobs_topic)
        await topics.create(tool_line.kafka)
        for number in range(3):
            await tool_line.job(f"new{number}")
        shown: dict[str, Shown] = {}
        while list(shown) != ["new2", "new1", "new0"]:  # first they seem to follow the old one
            await folder.fold_next()
            page = await folder.ask(lambda queries: queries.page(limit=10))
            shown = {row.job_id: row.shown for row in page.rows}
    assert {Shown.QUEUED} == set(shown.values())
