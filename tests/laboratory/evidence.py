"""What a run left behind, as plain facts: the oracle judges these and nothing else.

Read from Kafka as bytes and from the consumers' logs as JSON; nothing of the product's own code
is used, so that a fault of the product can't hide itself.
"""

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

Header = tuple[str, bytes | None]

READ_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Record:
    """A record of a topic, byte for byte."""

    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...] = ()

    def said(self) -> dict[str, Any]:
        """The value as a JSON object; an empty one where it is none."""
        try:
            value = json.loads(self.value or b"")
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}


@dataclass(frozen=True, slots=True)
class Event:
    """A status event: its place in the status topic, and what it says of which record."""

    position: int
    offset: int
    state: str
    code: str | None
    key: bytes | None
    trace: bytes | None

    @property
    def terminal(self) -> bool:
        """Whether it ends its record."""
        return self.state in ("completed", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class Upload:
    """A line of the mask-asset service's log."""

    job_id: str | None
    user_id: str | None
    key: str | None
    trace: str | None
    status: int


@dataclass(frozen=True, slots=True)
class Reign:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that one run left behind."""

    topic: str
    jobs: tuple[Record, ...]
    foreseen: Mapping[int, Foreseen]
    """How the record of each offset must end, as the workload knows it."""
    committed: tuple[Event, ...]
    """The status topic as a read_committed subscriber sees it."""
    uncommitted: tuple[Event, ...]
    """The status topic with what was aborted."""
    dead_letters: tuple[Record, ...]
    offset: int | None
    """The group's committed offset at the end."""
    end: int
    """The end of the jobs topic."""
    samples: tuple[int, ...]
    """The group's committed offset, as seen during the run."""
    uploads: tuple[Upload, ...]
    reigns: tuple[Reign, ...]

    @property
    def terminal(self) -> list[Event]:
        """Terminal events, in the order of the status topic."""
        return [event for event in self.committed if event.terminal]


async def read_topic(bootstrap: str, topic: str, *, isolation: str) -> tuple[Record, ...]:
    """Read a topic of one partition from its beginning to its present end.

    A record that aiokafka can't read (a header's name is no UTF-8) is left out.
    """
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        isolation_level=isolation,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    partition = TopicPartition(topic, 0)
    records: list[Record] = []
    at_once: int | None = None
    await consumer.start()
    try:
        async with asyncio.timeout(READ_SECONDS):
            consumer.assign([partition])
            end = (await consumer.end_offsets([partition]))[partition]
            while await consumer.position(partition) < end:
                try:
                    found = await consumer.getmany(partition, timeout_ms=500, max_records=at_once)
                except UnicodeDecodeError:
                    if at_once == 1:
                        consumer.seek(partition, await consumer.position(partition) + 1)
                    at_once = None if at_once else 1
                    continue
                records += [
                    Record(record.offset, record.key, record.value, tuple(record.headers))
                    for batch in found.values()
                    for record in batch
                    if record.offset < end
                ]
    finally:
        await consumer.stop()
    return tuple(records)


async def at_next_terminal_event(
    bootstrap: str, topic: str, do: Callable[[], None], *, isolation: str
) -> None:
    """Do something at once when a terminal event is there to be read."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, isolation_level=isolation, enable_auto_commit=False
    )
    partition = TopicPartition(topic, 0)
    await consumer.start()
    try:
        consumer.assign([partition])
        await consumer.seek_to_end(partition)
        written: list[Record] = []
        while not any(read_event(record).terminal for record in written):
            found = await consumer.getmany(partition, timeout_ms=500)
            written = [
                Record(record.offset, record.key, record.value)
                for record in found.get(partition, [])
            ]
        do()
    finally:
        await consumer.stop()


async def end_of(bootstrap: str, topic: str) -> int:
    """The offset after the topic's last record."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        partition = TopicPartition(topic, 0)
        end: int = (await consumer.end_offsets([partition]))[partition]
        return end
    finally:
        await consumer.stop()


async def committed_offset(admin: AIOKafkaAdminClient, group: str, topic: str) -> int | None:
    """The group's committed offset, None where it has none."""
    offsets = await admin.list_consumer_group_offsets(group)
    found = offsets.get(TopicPartition(topic, 0))
    return None if found is None or found.offset < 0 else found.offset


def read_event(record: Record) -> Event:
    """Read a record of the status topic; raise where it is no status event at all."""
    said = record.said()
    return Event(
        position=record.offset,
        offset=said["source"]["offset"],
        state=said["state"],
        code=said["error"]["code"] if said["error"] else None,
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


def read_log(path: Path) -> list[dict[str, Any]]:
    """Read a consumer's log; a last line cut short by SIGKILL is left out, words are too."""
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]
    said = []
    for line in lines:
        try:
            said.append(json.loads(line))
        except ValueError:
            continue
    return [one for one in said if isinstance(one, dict) and "event" in one]


def logged_at(line: Mapping[str, Any]) -> float:
    """When a line was logged, in Unix seconds."""
    return datetime.fromisoformat(line["timestamp"]).timestamp()


def read_reigns(owner: str, log: Iterable[Mapping[str, Any]]) -> tuple[Reign, ...]:
    """Divide one process's log into its reigns: each begins where a lane was opened."""
    reigns: list[tuple[int, list[int], list[int]]] = []
    for line in log:
        if line["event"] == "lane.opened":
            reigns.append((line["offset"], [], []))
        elif line["event"] == "fetch.started":
            reigns[-1][1].append(line["offset"])
        elif line["event"] == "segmentation.started":
            reigns[-1][2].append(line["offset"])
    return tuple(
        Reign(owner, first, tuple(fetches), tuple(segmentations))
        for first, fetches, segmentations in reigns
    )
