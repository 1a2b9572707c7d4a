"""What a run left behind, as plain facts: the oracle judges these and nothing else.

Read from Kafka as bytes and from the consumers' logs as JSON; nothing of the product's own code
is used, so that a fault of the product can't hide itself.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.support.topics import TERMINAL_STATES, TopicRecord


@dataclass(frozen=True, slots=True)
class Event:
    """A status event: its place in the status topic, and what it states of which record."""

    position: int
    offset: int
    state: str
    code: str | None
    key: bytes | None
    trace: bytes | None

    @property
    def terminal(self) -> bool:
        """Whether it ends its record."""
        return self.state in TERMINAL_STATES


@dataclass(frozen=True, slots=True)
class Upload:
    """A line of the mask-asset service's log."""

    job_id: str | None
    user_id: str | None
    key: str | None
    trace: str | None
    status: int


@dataclass(frozen=True, slots=True)
class Ownership:
    """One owner's time with the partition, from its log: what it began, in the order it did."""

    owner: str
    first: int
    """The offset that the lane was opened at."""
    fetches: tuple[int, ...]
    segmentations: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Foreseen:
    """How a record must end."""

    state: str
    code: str | None = None
    unpacked: bool = True
    """Whether the line can unpack its batch; else it knows of no more than the offset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that one run left behind."""

    topic: str
    jobs: tuple[TopicRecord, ...]
    foreseen: Mapping[int, Foreseen]
    """How the record of each offset must end, as the workload knows it."""
    committed: tuple[Event, ...]
    """The status topic as a read_committed subscriber sees it."""
    uncommitted: tuple[Event, ...]
    """The status topic with what was aborted."""
    dead_letters: tuple[TopicRecord, ...]
    offset: int | None
    """The group's committed offset at the end."""
    end: int
    """The end of the jobs topic."""
    samples: tuple[int, ...]
    """The group's committed offset, as seen during the run."""
    uploads: tuple[Upload, ...]
    ownerships: tuple[Ownership, ...]

    def read(self, job: TopicRecord) -> bool:
        """Whether both the line and we could read the record."""
        how = self.foreseen.get(job.offset)
        return not job.unreadable and (how is None or how.unpacked)

    @property
    def terminal(self) -> list[Event]:
        """Terminal events, in the order of the status topic."""
        return [event for event in self.committed if event.terminal]


def read_event(record: TopicRecord) -> Event:
    """Read a record of the status topic; raise where it is no status event at all."""
    event = record.json()
    return Event(
        position=record.offset,
        offset=event["source"]["offset"],
        state=event["state"],
        code=event["error"]["code"] if event["error"] else None,
        key=record.key,
        trace=dict(record.headers).get("traceparent"),
    )


def read_upload(line: Mapping[str, Any]) -> Upload:
    """Read a line of the mask-asset service's log."""
    return Upload(
        job_id=line["job_id"],
        user_id=line["user_id"],
        key=line["idempotency_key"],
        trace=line["traceparent"],
        status=line["status"],
    )


def read_ownerships(owner: str, log: Iterable[Mapping[str, Any]]) -> tuple[Ownership, ...]:
    """Divide one process's log into its ownerships: each begins where a lane was opened."""
    ownerships: list[tuple[int, list[int], list[int]]] = []
    for line in log:
        if line["event"] == "lane.opened":
            ownerships.append((line["offset"], [], []))
        elif line["event"] == "fetch.started":
            ownerships[-1][1].append(line["offset"])
        elif line["event"] == "segmentation.started":
            ownerships[-1][2].append(line["offset"])
    return tuple(
        Ownership(owner, first, tuple(fetches), tuple(segmentations))
        for first, fetches, segmentations in ownerships
    )
