"""What the line hands to a job: where it publishes, what it has begun, who may cancel it."""

from contextlib import AbstractContextManager
from typing import Protocol

from consumer.job.record import Record
from schemas.status import StatusEvent


class EventPublisher(Protocol):
    """Publishes events that don't end a job."""

    async def publish(self, event: StatusEvent, record: Record) -> int:
        """Give the event's offset once the broker has it; raise `LaneLost` where it can't."""


class AttemptLedger(Protocol):
    """Knows how often each unsettled record was begun, and how that ended."""

    def attempt(self, offset: int) -> int:
        """Give the number of the record's next attempt, counted from 1."""

    def crashes(self, offset: int) -> int:
        """Say how many of the record's attempts ended with the process that made them."""

    def started(self, offset: int, attempt: int, *, at: int) -> None:
        """Note a start of this process, whose event has offset `at` in the status topic."""


class CancelRequests(Protocol):
    """Knows which jobs a user has cancelled."""

    def cancellable(self, job_id: str, offset: int) -> AbstractContextManager[None]:
        """Raise `JobCancelled` in the block as soon as a cancel covers the job's record."""
