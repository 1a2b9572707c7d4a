"""Keeps the view up to date: reads the topics, and folds them in a thread of its own."""

import asyncio
import json
import sqlite3
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Self, TypeVar

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from consumer.kafka.committed import read_committed_offset
from consumer.kafka.reader import Reader
from consumer.kafka.rights import to_read
from consumer.settings import KafkaSettings
from producer_tools.client.line import (
    LineIdentity,
    ends,
    find_line,
    offsets,
    open_reader,
    unreachable,
)
from producer_tools.errors import ServiceError, ViewError
from producer_tools.view.file import file_id, locked, open_writer, rebuild, transaction
from producer_tools.view.fold import Arrived, Fold, LineTopics
from producer_tools.view.messages import RawRecord, now_ms
from producer_tools.view.queries import Queries
from producer_tools.view.sweep import sweep

T = TypeVar("T")

MAX_RECORDS = 5000
"""So many records at most are folded in one transaction."""
_FETCH_BYTES = 4 * 1024 * 1024
_POLL_MS = 200
_PORTION_SECONDS = 0.05
_SILENT_SECONDS = 30.0
_CHECK_SECONDS = 10.0
_ANSWER_SECONDS = 10.0
"""The longest that a check waits for the group's coordinator."""
_SWEEP_SECONDS = 60.0

Progress = Callable[[int, int], None]
"""Takes how many records are folded, and an upper bound of how many there are in all."""


def identity(line: LineIdentity, group: str) -> str:
    """Return what a view's file is made of, as text."""
    return json.dumps([line.cluster_id, *line.topics.items(), group])


class Folder:
    """The view of one line, as a context manager: inside, it can be brought up to date.

    Raises:
        LockedError: Another process keeps this file up to date.
        ViewError: The file can't be used.
        ServiceError: Kafka can't be reached, or a topic is missing.
    """

    def __init__(
        self, settings: KafkaSettings, path: Path, *, max_records: int = MAX_RECORDS
    ) -> None:
        self._settings = settings
        self._max_records = max_records
        self._path = path
        self._partitions = {
            name: TopicPartition(name, 0)
            for name in (settings.jobs_topic, settings.status_topic, settings.control_topic)
        }
        self._jobs = self._partitions[settings.jobs_topic]
        self._topics: LineTopics
        self._reader: Reader
        self._asker: Reader
        """Asks where topics end. On the other's connection that would wait for its fetches."""
        self._connection: sqlite3.Connection
        self._file_id: tuple[int, int] | None = None
        # One thread has the connection, one after another: no fold waits on the event loop.
        self._thread = ThreadPoolExecutor(1, "view")
        self._positions: dict[str, int] = {}
        self._waiting: list[RawRecord] = []
        self._folding: asyncio.Task[None] | None = None
        self._identity = ""
        self._opened = AsyncExitStack()
        self._settled_before: int | None = None
        self._gone_before = 0
        self._checked_at = time.monotonic()
        self._swept_at = 0.0
        self.current_at = 0.0
        """When the view last had all that `read_committed` could see, as `time.time` has it."""

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as opening:
            opening.callback(self._thread.shutdown)
            await self._identify()
            opening.enter_context(locked(self._path))
            self._connection = await self._run(partial(open_writer, self._path, self._identity))
            opening.push_async_callback(self._run, self._connection.close)
            self._file_id = file_id(self._path)
            self._reader = await opening.enter_async_context(
                open_reader(self._settings, max_partition_fetch_bytes=_FETCH_BYTES)
            )
            self._asker = await opening.enter_async_context(open_reader(self._settings))
            await self._seek()
            opening.push_async_callback(self._end_fold)
            self._opened = opening.pop_all()
        return self

    async def _identify(self) -> None:
        """Find out which line this is."""
        line = await find_line(self._settings, to_read(*self._partitions))
        jobs, status, control = self._partitions
        self._topics = LineTopics(jobs, status, control, jobs_id=line.topics[jobs])
        self._identity = identity(line, self._settings.consumer_group)

    async def __aexit__(self, *_: object) -> None:
        await self._opened.aclose()

    async def catch_up(self, progress: Progress | None = None) -> None:
        """Fold all that `read_committed` can see of the topics now.

        Raises:
            ServiceError: Kafka doesn't answer.
            DiskFullError: There is no room for the view.
        """
        asked = await ends(self._settings, self._asker, self._partitions.values())
        ends_now = {partition.topic: end for partition, end in asked.items()}
        start = dict(self._positions)
        while self._behind(ends_now):
            await self.fold_next()
            if progress is not None:
                done = sum(self._positions[name] - start[name] for name in start)
                progress(done, sum(ends_now[name] - start[name] for name in start))

    async def reach(self, topic: str, end: int) -> None:
        """Return when all records of this topic before `end` are folded."""
        while self._behind({topic: end}):
            await self.fold_next()

    async def follow(self) -> None:
        """Fold whatever comes, until this is cancelled. The errors are those of `catch_up`.

        What nobody waits for is folded in portions: a transaction costs the same for one event.
        """
        while True:
            await self.fold_next()
            await asyncio.sleep(_PORTION_SECONDS)

    async def ask(self, question: Callable[[Queries], T]) -> T:
        """Answer a question from what is folded."""
        return await self._run(lambda: question(Queries(self._connection)))

    async def fold_next(self) -> None:
        """Fold what has come since the last call. Wait for it for a fifth of a second.

        Several callers share one fold. If one is cancelled, the fold goes on: what was read must
        not be lost.
        """
        if self._folding is None or self._folding.done():
            self._folding = asyncio.create_task(self._fold_next(), name="view.fold")
        await asyncio.shield(self._folding)

    async def _end_fold(self) -> None:
        if self._folding is not None:
            await asyncio.wait([self._folding])

    async def _fold_next(self) -> None:
        passed_through = await self._passed_through()
        found = await self._poll()
        jobs_end = None
        if self._waiting:  # events whose jobs have not been read yet
            jobs_end = (await self._offsets(self._topics.jobs)).stop
        status = [*self._waiting, *found.get(self._topics.status, ())]
        positions = {
            name: await self._reader.position(partition)
            for name, partition in self._partitions.items()
        }
        moved = positions != self._positions or status or passed_through >= 0
        if moved or time.monotonic() - self._swept_at > _SWEEP_SECONDS:
            arrived = Arrived(
                jobs=found.get(self._topics.jobs, ()),
                status=status,
                control=found.get(self._topics.control, ()),
                positions=positions,
                jobs_end=jobs_end,
                passed_through=passed_through,
            )
            waiting = await self._run(partial(self._fold, arrived))
            self._waiting = status[len(status) - waiting :]
            self._positions = positions
            if self._waiting:
                self._positions[self._topics.status] = self._waiting[0].offset
        self._note_current()

    def _note_current(self) -> None:
        """Note when Kafka last said that there is no more than what is folded."""
        answered = [self._reader.last_poll_timestamp(each) for each in self._partitions.values()]
        ends = {
            name: self._reader.last_stable_offset(partition)
            for name, partition in self._partitions.items()
        }
        known = {name: end for name, end in ends.items() if end is not None}
        if None not in answered and len(known) == len(ends) and not self._behind(known):
            self.current_at = max(self.current_at, min(answered) / 1000)

    def _fold(self, arrived: Arrived) -> int:
        """Fold in one transaction, in the thread."""
        if file_id(self._path) != self._file_id:  # others would see another file than this one
            raise ViewError(
                f"VIEW_FILE={self._path} was removed; it is built anew when it is opened"
            )
        with transaction(self._connection, self._path):
            waiting = Fold(self._connection, self._topics).fold(arrived)
            if time.monotonic() - self._swept_at > _SWEEP_SECONDS and not sweep(
                self._connection, now_ms()
            ):
                self._swept_at = time.monotonic()
        return waiting

    async def _poll(self) -> Mapping[str, list[RawRecord]]:
        # While events wait for their jobs, no more of them are read.
        names = [self._topics.jobs, self._topics.control]
        if not self._waiting:
            names.append(self._topics.status)
        partitions = [self._partitions[name] for name in names]
        try:
            found = await self._reader.getmany(
                *partitions, timeout_ms=_POLL_MS, max_records=self._max_records
            )
        except OffsetOutOfRangeError:
            await self._seek()
            return {}
        except KafkaError as error:
            raise unreachable(self._settings, error, *to_read(*_topics_of(error))) from error
        for partition in partitions:
            answered_at = self._reader.last_poll_timestamp(partition)
            if answered_at is not None and time.time() - answered_at / 1000 > _SILENT_SECONDS:
                raise ServiceError(
                    f"Kafka at KAFKA_BOOTSTRAP_SERVERS={self._settings.kafka_bootstrap_servers}"
                    f" has not answered for {_SILENT_SECONDS:g} s"
                )
        return {partition.topic: records for partition, records in found.items()}

    async def _seek(self) -> None:
        """Go on where the file ends, or where the topics begin if retention has been faster.

        If a topic ends before that, it is another one of that name: the file is rebuilt.
        """
        there = {name: await self._offsets(name) for name in self._partitions}
        stored = await self.ask(Queries.positions)
        if any(stored.get(name, 0) > there[name].stop for name in there):
            await self._run(self._rebuild)
            stored = {}
        self._waiting = []
        self._gone_before = there[self._topics.jobs].start
        # No `await` between the two: aiokafka would choose an offset of its own.
        self._reader.assign(list(self._partitions.values()))
        for name, partition in self._partitions.items():
            self._positions[name] = max(stored.get(name, 0), there[name].start)
            self._reader.seek(partition, self._positions[name])

    def _rebuild(self) -> None:
        with transaction(self._connection, self._path):
            rebuild(self._connection, self._identity)

    async def _passed_through(self) -> int:
        """Return the last record that the line has passed, with an event or without. -1: none.

        A committed offset may be seen a moment before the events of its transaction. So it counts
        only when it is seen a second time, and all events up to now have been read.
        """
        if time.monotonic() - self._checked_at < _CHECK_SECONDS:
            gone_before, self._gone_before = self._gone_before, 0
            return gone_before - 1
        self._checked_at = time.monotonic()
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                committed = await read_committed_offset(self._settings, self._jobs)
        except (KafkaError, TimeoutError):
            return -1  # the coordinator may be moving: the next check will tell
        if committed.topic_id != self._topics.jobs_id:
            await self._begin_anew()
            return -1
        settled = None if committed.made_anew else committed.offset
        before, self._settled_before = self._settled_before, settled
        first = (await self._offsets(self._topics.jobs)).start
        if before is None or settled is None or not await self._has_all_events():
            return first - 1
        return max(first, min(before, settled)) - 1

    async def _has_all_events(self) -> bool:
        """Return whether all events of committed transactions are folded, and none is open."""
        status = self._partitions[self._topics.status]
        if self._reader.last_stable_offset(status) != self._reader.highwater(status):
            return False
        return not self._behind({status.topic: (await self._offsets(status.topic)).stop})

    async def _begin_anew(self) -> None:
        """Rebuild the file: the jobs topic was made anew."""
        await self._identify()
        await self._run(self._rebuild)
        self._settled_before = None
        await self._seek()

    def _behind(self, ends: Mapping[str, int]) -> bool:
        return any(self._positions[name] < end for name, end in ends.items())

    async def _offsets(self, name: str) -> range:
        return await offsets(self._settings, self._asker, self._partitions[name])

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def _topics_of(error: KafkaError) -> list[str]:
    """Give the topics that an error of aiokafka's names."""
    return [name for name in error.args if isinstance(name, str)]
