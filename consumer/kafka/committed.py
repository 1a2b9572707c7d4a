"""The group's committed offset, and what the line keeps in its metadata."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import NotCoordinatorForGroupError

from consumer.kafka.connection import connection_options
from consumer.kafka.topic_ids import topic_id
from consumer.settings import KafkaSettings

_FIELD = re.compile(r"(status|topic|failures|halted|range|ended):([A-Za-z0-9_-]+)")


@dataclass(frozen=True, slots=True)
class RunProgress:
    """What a replay run was told, and how many of its records have ended in each state."""

    offsets: range
    completed: int = 0
    failed: int = 0
    cancelled: int = 0

    @classmethod
    def read(cls, told: str, ended: str) -> Self | None:
        """Read it from its two fields; None where the commit isn't a run's."""
        numbers = [int(part) for part in f"{told}-{ended}".split("-") if part.isdecimal()]
        if len(numbers) != 5:
            return None
        return cls(range(numbers[0], numbers[1]), *numbers[2:])

    def plus(self, states: Iterable[str]) -> Self:
        """Give it with these ends."""
        counts = Counter(states)
        return replace(
            self,
            completed=self.completed + counts["completed"],
            failed=self.failed + counts["failed"],
            cancelled=self.cancelled + counts["cancelled"],
        )

    def write(self) -> list[str]:
        """Write it as fields."""
        return [
            f"range:{self.offsets.start}-{self.offsets.stop}",
            f"ended:{self.completed}-{self.failed}-{self.cancelled}",
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What is kept with the committed offset: all that the next owner must know.

    Written as `status:812 topic:3fUqX2… failures:3 halted:1`. A version of before reads
    `status:812` alone; of a later version's fields those that are not known here are passed over
    (docs/adr/0022-a-jobs-topic-made-anew.md).
    """

    bookmark: int | None = None
    """Where in the status topic the ledger goes on; None where somebody else committed."""
    topic_id: str = ""
    """The jobs topic that was settled; empty where it isn't known."""
    failures: int = 0
    """Dead letters in a row that our own set-up can cause."""
    halted: bool = False
    """Whether the line halted for them right behind the last settled record."""
    run: RunProgress | None = None
    """How far a replay run is; None where the line itself committed."""

    @classmethod
    def read(cls, metadata: str) -> Self:
        """Read the metadata of a commit, whoever wrote it."""
        words = (_FIELD.fullmatch(word) for word in metadata.split())
        fields = {found[1]: found[2] for found in words if found}
        return cls(
            bookmark=_number(fields.get("status")),
            topic_id=fields.get("topic", ""),
            failures=_number(fields.get("failures")) or 0,
            halted=fields.get("halted") == "1",
            run=RunProgress.read(fields.get("range", ""), fields.get("ended", "")),
        )

    def write(self) -> str:
        """Write it as metadata, well below the 4,096 bytes that a broker takes."""
        words = [f"status:{self.bookmark or 0}"]
        if self.topic_id:
            words.append(f"topic:{self.topic_id}")
        if self.failures:
            words.append(f"failures:{self.failures}")
        if self.halted:
            words.append("halted:1")
        if self.run is not None:
            words += self.run.write()
        return " ".join(words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """How far the group has settled the jobs topic, and the topic as it is now."""

    offset: int | None
    """The offset after the last settled record; None where nothing is committed."""
    kept: Kept
    topic_id: str
    """The id that the topic has now; empty where the broker knows none."""

    @property
    def made_anew(self) -> bool:
        """Whether the committed offset is that of another topic of this name."""
        return bool(self.kept.topic_id and self.topic_id and self.kept.topic_id != self.topic_id)

    @property
    def halted_after(self) -> int | None:
        """The last settled record of a line that halted for dead letters in a row, else None."""
        if self.offset is None or not self.kept.halted or self.made_anew:
            return None
        return self.offset - 1


async def read_committed_offset(settings: KafkaSettings, jobs: TopicPartition) -> Committed:
    """Ask the broker, by way of the admin client: the consumer's own `committed` drops metadata.

    Raises:
        KafkaError: the broker or the group's coordinator doesn't answer.
    """
    admin = AIOKafkaAdminClient(**connection_options(settings))
    try:
        await admin.start()
        found = await admin.list_consumer_group_offsets(settings.consumer_group, partitions=[jobs])
        now = await topic_id(admin._client, jobs.topic)
    finally:
        await admin.close()
    if jobs not in found:  # a coordinator that moves, or has yet to load its group, says nothing
        raise NotCoordinatorForGroupError(f"no offsets of group {settings.consumer_group}")
    offset, metadata = found[jobs]
    if offset < 0:
        return Committed(offset=None, kept=Kept(), topic_id=now)
    return Committed(offset=offset, kept=Kept.read(metadata or ""), topic_id=now)


def _number(digits: str | None) -> int | None:
    return int(digits) if digits is not None and digits.isdecimal() else None
