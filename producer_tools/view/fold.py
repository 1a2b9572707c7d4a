"""Folds what was read of the topics into the tables, in one transaction with the offsets."""

import sqlite3
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from producer_tools.view.batches import Batches, BatchRow
from producer_tools.view.messages import (
    EventFacts,
    JobFacts,
    RawRecord,
    milliseconds,
    now_ms,
    read_cancel,
    read_event,
    read_job,
)
from producer_tools.view.rows import Row, Rows
from producer_tools.view.tables import Shown
from producer_tools.view.tally import ENDED, QUEUED, SHIFT, TallyChanges, second
from schemas.control import Cancel
from schemas.status import TERMINAL_STATES

_SHOWN = {
    "processing": Shown.PROCESSING,
    "retrying": Shown.RETRYING,
    "completed": Shown.COMPLETED,
    "failed": Shown.FAILED,
    "cancelled": Shown.CANCELLED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """What was read of the topics since the last fold."""

    jobs: Sequence[RawRecord] = ()
    status: Sequence[RawRecord] = ()
    control: Sequence[RawRecord] = ()
    positions: Mapping[str, int]
    """The next offset to read of each topic."""
    jobs_end: int | None = None
    """The end of the jobs topic, if it was asked for after `status` was read."""
    passed_through: int = -1
    """No record up to this offset waits any more, whatever its events say."""


@dataclass(frozen=True, slots=True)
class LineTopics:
    """The topics that are folded."""

    jobs: str
    status: str
    control: str
    jobs_id: str = ""
    """The id of the jobs topic. Empty where the broker has none."""


class Fold:
    """One transaction. Its facts are those of the topics, in whatever portions they are read."""

    def __init__(self, connection: sqlite3.Connection, topics: LineTopics) -> None:
        self._connection = connection
        self._topics = topics
        self._rows = Rows(connection)
        self._batches = Batches(connection)
        self._totals: Counter[tuple[str, int]] = Counter()
        self._tallies = TallyChanges()
        self._ends: list[tuple[int, int]] = []
        self._texts: dict[int, str] = {}
        self._next_seq, self._settled_through, self._last_settled_ms = connection.execute(
            "SELECT next_seq, settled_through, last_settled_ms FROM view"
        ).fetchone()
        self._passed_from: int = self._settled_through + 1

    def fold(self, arrived: Arrived) -> int:
        """Fold it, and return how many records of the status topic have to wait.

        Those are the last ones: their jobs have not been read yet. To be called inside a
        transaction, which the caller commits.
        """
        jobs = [read_job(record) for record in arrived.jobs]
        self._add_jobs(jobs)
        for record in arrived.control:
            cancel = read_cancel(record)
            if cancel is not None:
                self._cancel(cancel, record.timestamp)
        waiting = self._apply_events(arrived)
        self._pass_over(arrived.passed_through, arrived.positions[self._topics.jobs])
        self._write(jobs, arrived, waiting)
        return waiting

    def _add_jobs(self, jobs: Sequence[JobFacts]) -> None:
        for job in jobs:
            row = Row(
                offset=job.offset,
                seq=self._next_seq,
                shown=Shown.QUEUED if job.readable else Shown.FAILED,
                settled=False,
                batched=job.batch is not None,
                counted=job.batch is not None,
                job_id=job.job_id,
                user_id=job.user_id,
                batch_id=job.batch.batch_id if job.batch else None,
                batch_index=job.batch.index if job.batch else None,
                record_ms=job.record_ms,
                submitted_ms=job.submitted_ms,
                begun_ms=None,
                ended_ms=None if job.readable else job.record_ms,
                attempt=0,
                event_offset=None,
                idempotency_key=job.idempotency_key,
            )
            self._next_seq += 1
            self._join_batch(row, job)
            self._rows.add(row)
            self._count(row, 1)
        self._cancel_known(jobs)

    def _join_batch(self, row: Row, job: JobFacts) -> None:
        """Make room for the row among the counted ones of its batch."""
        if job.batch is None:
            return
        batch = self._batches.find(job.batch.batch_id)
        if batch is None:
            batch = BatchRow(
                batch_id=job.batch.batch_id,
                seq=row.seq,
                shown=Shown.QUEUED,
                size=job.batch.size,
                missing=0,
                first_ms=row.record_ms,
                last_ms=row.record_ms,
                submitted_ms=row.submitted_ms,
            )
            self._batches.add(batch)
        batch.size = max(batch.size, job.batch.size)
        batch.last_ms = max(batch.last_ms, row.record_ms)
        for earlier in self._rows.of_index(job.batch.batch_id, job.batch.index):
            self._count(earlier, -1)
            earlier.counted = False
            self._count(earlier, 1)
            self._rows.change(earlier)

    def _cancel_known(self, jobs: Sequence[JobFacts]) -> None:
        """Apply the cancels that came before their jobs were read."""
        if self._connection.execute("SELECT 1 FROM cancels LIMIT 1").fetchone() is None:
            return
        for job in jobs:
            found = self._connection.execute(
                "SELECT before_offset, requested_ms FROM cancels WHERE job_id = ?", (job.job_id,)
            ).fetchone()
            row = self._rows.find(job.offset)
            if found and row and row.offset < found[0] and _can_be_cancelled(row):
                self._show(row, Shown.CANCELLED, found[1])

    def _cancel(self, cancel: Cancel, record_ms: int) -> None:
        requested_ms = milliseconds(cancel.requested_at)
        self._connection.execute(
            "INSERT INTO cancels VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
            " before_offset = max(before_offset, excluded.before_offset),"
            " requested_ms = excluded.requested_ms, record_ms = excluded.record_ms",
            (cancel.job_id, cancel.before_offset, requested_ms, record_ms),
        )
        for row in self._rows.of_job(cancel.job_id, before=cancel.before_offset):
            if _can_be_cancelled(row):
                self._show(row, Shown.CANCELLED, requested_ms)

    def _apply_events(self, arrived: Arrived) -> int:
        """Apply the events in order, up to the first whose job has not been read yet."""
        jobs_read = arrived.positions[self._topics.jobs]
        events: list[EventFacts] = []
        waiting = 0
        for index, record in enumerate(arrived.status):
            event = read_event(
                record, jobs_topic=self._topics.jobs, jobs_topic_id=self._topics.jobs_id
            )
            if event is None:
                continue
            offset = event.event.source.offset
            if offset >= jobs_read and (arrived.jobs_end is None or offset < arrived.jobs_end):
                waiting = len(arrived.status) - index
                break
            if offset < jobs_read:
                events.append(event)
        self._rows.load(event.event.source.offset for event in events)
        for event in events:
            self._apply(event)
        return waiting

    def _apply(self, facts: EventFacts) -> None:
        event, offset = facts.event, facts.event.source.offset
        terminal = event.state in TERMINAL_STATES
        row = self._rows.find(offset)
        if terminal and offset > self._settled_through:
            self._settled_through = offset
            self._last_settled_ms = facts.record_ms
            self._ends.append((offset, facts.occurred_ms))
        if row is None or row.settled:
            return
        if not terminal and offset <= self._settled_through:
            return  # late: it comes from a process that has died
        row.settled = terminal
        row.attempt = max(row.attempt, event.attempt)
        row.event_offset = facts.offset
        if event.state == "processing" and row.begun_ms is None:
            row.begun_ms = facts.occurred_ms
        if event.state != "processing":
            self._texts[offset] = facts.text
        self._show(row, _SHOWN[event.state], facts.occurred_ms if terminal else None)

    def _show(self, row: Row, shown: Shown, ended_ms: int | None) -> None:
        """Show the row in another state."""
        self._count(row, -1)
        row.shown, row.ended_ms = shown, ended_ms
        self._count(row, 1)
        self._rows.change(row)

    def _count(self, row: Row, n: int) -> None:
        """Count the row, or with -1 no more, in the state in which it is."""
        self._totals["batched" if row.batched else "single", row.shown] += n
        if row.shown is Shown.QUEUED:
            self._tallies.add(QUEUED, row.seq >> SHIFT, n)
        if row.ended_ms is not None:
            self._tallies.add(ENDED, second(row.ended_ms), n)
        if row.counted and row.batch_id is not None:
            batch = self._batches.find(row.batch_id)
            if batch is not None:
                batch.counts[row.shown] += n
                if row.begun_ms is not None:
                    batch.begun_ms = min(batch.begun_ms or row.begun_ms, row.begun_ms)
                if row.ended_ms is not None:
                    batch.ended_ms = max(batch.ended_ms or row.ended_ms, row.ended_ms)

    def _pass_over(self, through: int, jobs_read: int) -> None:
        """Show records as failed that the line went past without an event, and so ended.

        Terminal events come in the order of their records, so one says it of all before it.
        """
        end = max(self._settled_through, min(through, jobs_read - 1)) + 1
        if self._passed_from >= end:
            return
        for row in self._rows.between(self._passed_from, end):
            if not row.shown.ended:
                self._show(row, Shown.FAILED, self._passed_ms(row))
        self._settled_through = end - 1

    def _passed_ms(self, row: Row) -> int:
        """Return when the next record after this one ended, or now if none has."""
        index = bisect_right(self._ends, (row.offset, 0))
        return self._ends[index][1] if index < len(self._ends) else now_ms()

    def _write(self, jobs: Sequence[JobFacts], arrived: Arrived, waiting: int) -> None:
        self._rows.write()
        self._batches.write(self._totals)
        self._tallies.write(self._connection)
        write_totals(self._connection, self._totals)
        self._connection.executemany(
            "INSERT INTO jobs VALUES (?, ?)", [(job.offset, job.text) for job in jobs]
        )
        self._connection.executemany(
            "INSERT OR REPLACE INTO events VALUES (?, ?)", self._texts.items()
        )
        positions = dict(arrived.positions)
        if waiting:
            positions[self._topics.status] = arrived.status[-waiting].offset
        self._connection.executemany(
            "INSERT OR REPLACE INTO positions VALUES (?, ?)", positions.items()
        )
        self._connection.execute(
            "UPDATE view SET next_seq = ?, settled_through = ?, last_settled_ms = ?",
            (self._next_seq, self._settled_through, self._last_settled_ms),
        )


def _can_be_cancelled(row: Row) -> bool:
    """Return whether it has not begun. One that was passed over may have been cancelled before."""
    if row.shown is Shown.FAILED:
        unreadable = row.user_id is None
        return not row.settled and row.event_offset is None and not unreadable
    return row.shown is Shown.QUEUED


def write_totals(connection: sqlite3.Connection, totals: Counter[tuple[str, int]]) -> None:
    """Add to the totals."""
    connection.executemany(
        "INSERT INTO totals VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n",
        [(kind, int(shown), n) for (kind, shown), n in totals.items() if n],
    )
