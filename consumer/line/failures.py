"""Failures that our own set-up can cause: so many in a row halt the line."""

from consumer.job.outcome import Outcome
from schemas.status import ErrorCode

COUNTED: frozenset[ErrorCode] = frozenset(
    {
        "image_forbidden",
        "unknown_model",
        "unsupported_output",
        "callback_rejected",
        "deadline_exceeded",
        "internal_error",
    }
)
"""`callback_rejected` only where `MASK_ASSET_URL` rejected, not a job's own `callback_url`."""


class FailuresInARow:
    """Counts the dead letters since the last completed job; the others leave the count as it is."""

    def __init__(self, limit: int, *, count: int = 0) -> None:
        """`limit`: so many halt the line, 0: never. `count`: what a former owner had counted."""
        self._limit = limit
        self.count = count

    @property
    def too_many(self) -> bool:
        """Whether the line must halt."""
        return self.count >= self._limit != 0

    def add(self, outcome: Outcome) -> None:
        """Count what is about to be settled."""
        if outcome.state == "completed":
            self.count = 0
        elif _is_counted(outcome):
            self.count += 1


def _is_counted(outcome: Outcome) -> bool:
    if outcome.failure is None:
        return False
    code = outcome.failure.error.code
    own = outcome.job is not None and outcome.job.callback_url is not None
    return code in COUNTED and not (own and code == "callback_rejected")
