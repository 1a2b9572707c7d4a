"""Which records get a copy, and why the others get none.

The copies themselves tell which records are done: their jobs are called `<replay>:<offset>`.
"""

from array import array
from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from consumer.kafka.reader import AnyRecord, UnreadableRecord
from consumer.settings import KafkaSettings
from producer_tools.client.line import end_of_all
from producer_tools.client.scan import Progress, scan
from producer_tools.errors import SelectionError
from producer_tools.replay.selection import Selection
from schemas.errors import InvalidMessage
from schemas.job import Job
from schemas.replay import copied_offset, read_range

NO_JOBS, COPIES, DONE = "no jobs", "copies", "done already"


@dataclass(slots=True)
class Plan:
    """What a replay does. It holds offsets alone: there may be a week of them."""

    offsets: range
    """What it was told to repeat. Whoever goes on with it is told the same."""
    records: Sequence[int] = ()
    """The records that get a copy, in order."""
    left_out: Counter[str] = field(default_factory=Counter)
    first_ms: int | None = None
    """Time of the first record that gets a copy."""
    last_ms: int | None = None
    copies: list[int] = field(default_factory=list)
    """Offsets of the copies that are there already."""


@dataclass(slots=True)
class _Seen:
    """What one reading of the topic has found."""

    candidates: "array[int]" = field(default_factory=lambda: array("q"))
    times: "array[int]" = field(default_factory=lambda: array("q"))
    left_out: Counter[str] = field(default_factory=Counter)
    done: dict[int, int] = field(default_factory=dict)
    """The records that have a copy, and where it is."""
    told: range | None = None
    """What the replay was told when it made its copies."""


async def plan_replay(
    settings: KafkaSettings,
    wanted: range,
    selection: Selection,
    *,
    replay_id: str | None,
    in_state: Collection[int] | None,
    progress: Progress,
) -> Plan:
    """Plan a replay of the records at these offsets.

    Args:
        settings: The line.
        wanted: The offsets that are meant now. A replay that has begun keeps those it began with.
        selection: What was asked for.
        replay_id: The replay's name. None: it has none yet, so nothing is done already.
        in_state: The offsets of records in the states that are asked for. None: in any.
        progress: Takes the offset that is reached.

    Raises:
        SelectionError: The replay has begun with other offsets.
        ServiceError: Kafka doesn't answer.
    """
    end = await end_of_all(settings, settings.jobs_topic)
    reading = _Reading(settings, end, selection, replay_id, in_state, progress)
    seen = await reading.read(wanted)
    if seen.told is not None and seen.told != wanted:
        if selection.is_fixed:
            raise SelectionError(
                f"Replay {replay_id} repeats offsets {seen.told.start} to {seen.told.stop}: go on"
                " with these, or name another replay"
            )
        wanted = seen.told
        seen = await reading.read(wanted)
    plan = Plan(offsets=wanted, left_out=seen.left_out, copies=sorted(seen.done.values()))
    records = array("q")
    for offset, time in zip(seen.candidates, seen.times, strict=True):
        if offset in seen.done:
            plan.left_out[DONE] += 1
            continue
        records.append(offset)
        plan.first_ms = time if plan.first_ms is None else plan.first_ms
        plan.last_ms = time
    plan.records = records
    return plan


@dataclass(frozen=True, slots=True)
class _Reading:
    """What the topic is read for."""

    settings: KafkaSettings
    end: int
    selection: Selection
    replay_id: str | None
    in_state: Collection[int] | None
    progress: Progress

    async def read(self, wanted: range) -> _Seen:
        """Read the records that are meant, and those behind them, among which the copies are."""
        # One that was counted from now may have its copies before what it means now.
        start = 0 if self.selection.moves and self.replay_id is not None else wanted.start
        stop = wanted.stop if self.replay_id is None else self.end
        seen = _Seen()
        records = scan(
            self.settings, self.settings.jobs_topic, range(start, stop), progress=self.progress
        )
        async with aclosing(records):
            async for record in records:
                is_copy = self.replay_id is not None and _note_copy(record, self.replay_id, seen)
                if record.offset in wanted and self._is_in_state(record.offset):
                    self._note(record, seen, is_copy=is_copy)
        return seen

    def _is_in_state(self, offset: int) -> bool:
        return self.in_state is None or offset in self.in_state

    def _note(self, record: AnyRecord, seen: _Seen, *, is_copy: bool) -> None:
        """Note a record that is meant."""
        reason = COPIES if is_copy else _why_not(record, self.selection)
        if reason is None:
            seen.candidates.append(record.offset)
            seen.times.append(record.timestamp)
        elif reason:
            seen.left_out[reason] += 1


def _note_copy(record: AnyRecord, replay_id: str, seen: _Seen) -> bool:
    """Note the record if it is a copy of this replay's, and return whether it is."""
    original = copied_offset((record.key or b"").decode(errors="replace"), replay_id)
    if original is None or original >= record.offset:
        return False
    job = read_job(record)
    if job is None or job.replay_of is None:  # a batch may have the replay's name
        return False
    seen.done[original] = record.offset
    seen.told = read_range(record.headers) or seen.told
    return True


def _why_not(record: AnyRecord, selection: Selection) -> str | None:
    """Return why the record gets no copy. Empty: nobody asked for one."""
    job = read_job(record)
    if selection.jobs and (job is None or job.job_id not in selection.jobs):
        return ""
    if job is None:
        return NO_JOBS
    return COPIES if job.replay_of is not None and not selection.jobs else None


def read_job(record: AnyRecord) -> Job | None:
    """Read a job. Return None for what is none."""
    if isinstance(record, UnreadableRecord):
        return None
    try:
        return Job.read(record.value)
    except InvalidMessage:
        return None
