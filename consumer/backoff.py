"""How long to wait before the next try: one policy, and what a `Retry-After` header asks for."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

Uniform = Callable[[float, float], float]

LONGEST_RETRY_AFTER = 300.0
"""A `Retry-After` of more seconds is cut: the line shouldn't sleep for a day."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential backoff, in seconds: each wait is twice the one before, up to the longest."""

    first: float
    longest: float
    least_share: float = 1.0
    """A wait is drawn at random between this share of it and all of it."""

    def delay(self, tries: int, *, uniform: Uniform = random.uniform) -> float:
        """Give the seconds to wait after `tries` waits."""
        wait = min(self.longest, self.first * 2.0 ** min(tries, 16))
        return uniform(self.least_share * wait, wait)


def parse_retry_after(header: str | None) -> float | None:
    """Read a `Retry-After` header, seconds or an HTTP date, as seconds; None if it says nothing."""
    if header is None:
        return None
    try:
        if header.strip().isdecimal():
            seconds = float(header)
        else:
            until = parsedate_to_datetime(header)
            until = until.replace(tzinfo=until.tzinfo or UTC)
            seconds = (until - datetime.now(UTC)).total_seconds()
    except (ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)
