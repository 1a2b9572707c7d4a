"""A record of the jobs topic, as it arrived."""

from collections.abc import Sequence
from dataclasses import dataclass

from schemas.status import Source
from schemas.trace_context import traceparent

Header = tuple[str, bytes | None]


@dataclass(frozen=True, slots=True)
class Record:
    """One record of the jobs topic, byte for byte as it arrived, as far as it can be read."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[Header]
    unreadable: str = ""
    """Why the record, or a part of it, can't be read; empty where it can."""
    value_bytes: int | None = None
    """Size of a value that was left out for its size; None otherwise."""

    @property
    def source(self) -> Source:
        """The record's topic, partition and offset, as in every event about it."""
        return Source(topic=self.topic, partition=self.partition, offset=self.offset)

    @property
    def traceparent(self) -> str | None:
        """The W3C trace context that the producer sent along, if it did and it is one."""
        return traceparent(self.headers)
