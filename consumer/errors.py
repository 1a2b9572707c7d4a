"""What can go wrong, and what it means for the line.

::

    Exception
    ├── JobFailed     this job is at fault: dead letter, terminal `failed`, the line goes on
    ├── JobCancelled  a user asked for this job's end: terminal `cancelled`, the line goes on
    ├── Unavailable   a service that every job needs is at fault: hold, nothing is settled
    ├── LaneLost      another consumer may own the partition now: leave the group, join again
    ├── LaneHalted    going on would lose records or flood the dead letters: wait for an operator
    └── StartError    we can't start: the message says what to do, the process exits
"""

import re
from typing import Literal, get_args

from schemas.status import ErrorCode

HaltReason = Literal["dead_letters", "records_gone", "topic_end", "topic_anew", "partitions"]
"""Why a line halts, as the metrics name it; the message says it to people."""
HALT_REASONS: tuple[HaltReason, ...] = get_args(HaltReason)

_BEHIND_THE_HOST = re.compile(r"(\b[a-z0-9+]+://[^/\s?#\"']*)[^\s\"']*", re.IGNORECASE)


class JobFailed(Exception):
    """This job can't succeed, however often it is tried; the next one may."""

    def __init__(self, code: ErrorCode, message: str, *, stage: str) -> None:
        super().__init__(message)
        self.code = code
        self.stage = stage


class JobCancelled(Exception):
    """A user asked for this job's end. It is the job's outcome, not a fault."""


class Unavailable(Exception):
    """S3, the mask-asset service or a model's server can't serve any job now, or refuses us."""

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        *,
        stage: str,
        retry_after: float | None = None,
        quoted: str = "",
    ) -> None:
        """`retry_after` is the wait in seconds that the service asked for, if it did.

        `quoted` is the part of the message that isn't ours: an answer, or a library's words.
        """
        super().__init__(message)
        self.code = code
        self.stage = stage
        self.retry_after = retry_after
        self._quoted = quoted

    @property
    def for_anybody(self) -> str:
        """The message without what is quoted and where URLs lead: no user's object is named."""
        message = str(self)
        if self._quoted:
            message = message.replace(self._quoted, "…")
        return _BEHIND_THE_HOST.sub(r"\1", message)


class LaneLost(Exception):
    """The broker fenced us or can't be reached: nothing more may be settled by this lane."""


class LaneHalted(Exception):
    """An operator must decide how to go on. Nothing more is settled until then."""

    def __init__(self, message: str, *, reason: HaltReason, after: int | None = None) -> None:
        """`after`: the last settled record, where `maskline resume` lifts the halt."""
        super().__init__(message)
        self.reason = reason
        self.after = after


class StartError(Exception):
    """The consumer can't start."""

    def __init__(self, message: str, *, exit_code: int) -> None:
        """`exit_code`: 2 settings, 3 a service is out of reach or set up wrongly, 4 model."""
        super().__init__(message)
        self.exit_code = exit_code
