"""What became of a record: the value that a job's attempt ends in and that the lane settles."""

from dataclasses import dataclass, field
from typing import Literal

from consumer.job.record import Record
from consumer.telemetry.tracing import NO_TRACE, Trace
from schemas.job import Job
from schemas.status import ErrorInfo, ModelInfo, Result, TimingsMs


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
    trace: Trace = field(default=NO_TRACE, compare=False, repr=False)
    """The trace of the attempt; it ends when the outcome is settled."""
