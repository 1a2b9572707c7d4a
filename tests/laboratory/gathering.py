"""What a run leaves behind, gathered for the oracle: one part for each jobs topic that it had."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from producer_tools.local.stack import LocalStack
from tests.laboratory.costs import Part, read_starts
from tests.laboratory.evidence import (
    Evidence,
    Foreseen,
    Upload,
    read_event,
    read_ownerships,
    read_upload,
)
from tests.laboratory.watch import Watch
from tests.support.consumer_process import until
from tests.support.line_names import LineNames
from tests.support.logs import read_entries
from tests.support.topics import administration, committed_offset, end_of, read_topic

SEEN_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Begin:
    """Where the evidence of the jobs topic as it is now begins."""

    status: int = 0
    dead_letters: int = 0
    logs: int = 0


class Gathering:
    """The evidence of a run: uploads as they come, topics and logs at the end.

    Args:
        stack: The stack that the line is on.
        line: Its names.
        folder: Where the consumers' logs are.
        watch: Sees what is settled.
    """

    def __init__(self, stack: LocalStack, line: LineNames, *, folder: Path, watch: Watch) -> None:
        self._stack = stack
        self._line = line
        self._folder = folder
        self._watch = watch
        self._uploads: list[Upload] = []
        self._uploads_kept = 0
        self._closed: list[Part] = []
        self._begin = Begin()

    async def keep_uploads(self, *, before_kill: bool = False) -> None:
        """Keep what is new in the service's log: it remembers only so much, and dies forgetting."""
        log = await asyncio.to_thread(self._stack.mask_assets.uploads, since=self._uploads_kept)
        topic = f"/{self._line.jobs}/"
        self._uploads += [
            read_upload(line)
            for line in log
            # Other lines may share the stack; an upload without a key is ours.
            if line["idempotency_key"] is None or topic in line["idempotency_key"]
        ]
        if log:
            self._uploads_kept = log[-1]["number"] + 1
        if before_kill:
            self._uploads_kept = 0

    async def close_part(self, foreseen: Mapping[int, Foreseen], *, through: int) -> None:
        """Keep what the jobs topic has left behind before offset `through`: the topic is to go.

        Nothing of it may be settled from now on. What was submitted from there on is outside of
        the promise: it goes with the topic.
        """
        count = sum(offset < through for offset in foreseen)
        await self._watch.reaches(self._watch.settled_before + count, seconds=SEEN_SECONDS)
        await self._offset_is_seen()
        whole = await self.evidence(foreseen)
        before = replace(
            whole,
            jobs=tuple(job for job in whole.jobs if job.offset < through),
            uploads=tuple(one for one in whole.uploads if _offset(one) < through),
        )
        starts = [(at, offset) for at, offset in self.starts() if offset < through]
        self._closed.append(Part(self._watch.ended, starts, before))

    async def open_part(self) -> None:
        """Begin anew with an empty jobs topic, whose owner is yet to be started."""
        bootstrap, line = self._stack.kafka.bootstrap_servers, self._line
        self._begin = Begin(
            status=await end_of(bootstrap, line.status, isolation="read_uncommitted"),
            dead_letters=await end_of(bootstrap, line.dead_letters, isolation="read_uncommitted"),
            logs=len(self.logs()),
        )
        await self.keep_uploads()
        self._uploads = []
        self._watch.begin_anew()

    async def parts(self, foreseen: Mapping[int, Foreseen]) -> list[Part]:
        """Gather what each jobs topic of the run has left behind, once the consumers have ended."""
        last = await self.evidence(foreseen)
        return [*self._closed, Part(self._watch.ended, self.starts(), last)]

    async def evidence(self, foreseen: Mapping[int, Foreseen]) -> Evidence:
        """Gather what the jobs topic as it is now has left behind."""
        await self.keep_uploads()
        bootstrap, line, begin = self._stack.kafka.bootstrap_servers, self._line, self._begin
        async with administration(bootstrap) as admin:
            offset = await committed_offset(admin, line.group, line.jobs)
        committed = await read_topic(bootstrap, line.status, start=begin.status)
        uncommitted = await read_topic(
            bootstrap, line.status, start=begin.status, isolation="read_uncommitted"
        )
        return Evidence(
            topic=line.jobs,
            # A transaction's marker that lies before such a record looks as unreadable as it.
            jobs=tuple(
                job
                for job in await read_topic(bootstrap, line.jobs)
                if not job.unreadable or job.offset in foreseen
            ),
            foreseen=foreseen,
            committed=tuple(map(read_event, committed)),
            uncommitted=tuple(map(read_event, uncommitted)),
            dead_letters=await read_topic(bootstrap, line.dead_letters, start=begin.dead_letters),
            offset=offset,
            end=await end_of(bootstrap, line.jobs),
            samples=tuple(self._watch.samples),
            uploads=tuple(self._uploads),
            ownerships=tuple(
                one
                for log in self.logs()[begin.logs :]
                for one in read_ownerships(log.stem, read_entries(log.read_bytes()))
            ),
        )

    async def _offset_is_seen(self) -> None:
        """Wait for the offset that goes with the last terminal event: it shows moments later."""
        line, last = self._line, max(self._watch.ended, default=-1)
        async with administration(self._stack.kafka.bootstrap_servers) as admin:

            async def is_seen() -> bool:
                return await committed_offset(admin, line.group, line.jobs) == last + 1

            await until(is_seen, f"offset {last + 1} is committed", seconds=SEEN_SECONDS)

    def starts(self) -> list[tuple[float, int]]:
        """When each record was begun, and its offset, as the consumers' logs have it."""
        return read_starts(self.logs()[self._begin.logs :])

    def logs(self) -> list[Path]:
        """The consumers' logs, in the order of their starts."""
        return sorted(self._folder.glob("consumer-*.log"))


def _offset(upload: Upload) -> int:
    """The offset of the uploaded record; -1 where the upload bears no key."""
    return int((upload.key or "-1").rpartition("/")[2])
