"""A record as it came, and what became of it: the two ends of a job's way."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from schemas.job import Job
from schemas.status import ErrorInfo, ModelInfo, Result, Source, TimingsMs

_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-[!-~]{0,256})?")

Header = tuple[str, bytes | None]


@dataclass(frozen=True, slots=True)
class Record:
    """One record of the jobs topic, byte for byte as it arrived."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[Header]

    @property
    def source(self) -> Source:
        """Where the record stands, as every event about it says."""
        return Source(topic=self.topic, partition=self.partition, offset=self.offset)

    @property
    def traceparent(self) -> str | None:
        """The W3C trace context that the producer sent along, if it did and it is one."""
        for name, value in self.headers:
            if name == "traceparent" and value and _TRACEPARENT.fullmatch(value):
                return value.decode()
        return None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job failed."""

    error: ErrorInfo
    exception: str
    """Full name of the exception's class, for the dead letter."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a record ended: the value that the lane settles."""

    record: Record
    state: Literal["completed", "failed", "cancelled"]
    attempt: int
    job: Job | None = None
    model: ModelInfo | None = None
    result: Result | None = None
    failure: Failure | None = None
    timings: TimingsMs | None = None
