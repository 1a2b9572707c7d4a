"""How long jobs' own endpoints may keep the line: jobs settle in order, so others wait for them."""

import math
import time
from collections.abc import Callable

from http_client.origin import Origin

SHORT_TRY = 5.0
"""Seconds of the one try that a job gets while its endpoint is known to be down."""


class Budget:
    """What one job's tries at an endpoint may take, all of them together."""

    def __init__(
        self, where: Origin, *, down: set[Origin], seconds: float, clock: Callable[[], float]
    ) -> None:
        self._where = where
        self._down = down
        self._clock = clock
        self._end = clock() + seconds

    def seconds_of_try(self, longest: float) -> float:
        """Give how long a try may take that begins now."""
        longest = min(longest, self._end - self._clock())
        return min(longest, SHORT_TRY) if self._where in self._down else longest

    def allows_wait(self, seconds: float) -> bool:
        """Whether a try may still be made after so long a wait."""
        return self._where not in self._down and self._clock() + seconds < self._end

    def use_up(self) -> None:
        """Note that the job got no answer: those behind it get one short try each."""
        self._down.add(self._where)

    def succeed(self) -> None:
        """Note that the endpoint has taken masks: it is up."""
        self._down.discard(self._where)


class Budgets:
    """Gives each job its budget, and remembers which origins have used one up."""

    def __init__(self, *, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._down: set[Origin] = set()

    def begin(self, where: Origin) -> Budget:
        """Give a job its budget for an origin; it counts from now on."""
        return Budget(where, down=self._down, seconds=self._seconds, clock=self._clock)

    def unlimited(self, where: Origin) -> Budget:
        """Give a budget that lasts for ever, for the receiver that all jobs need."""
        return Budget(where, down=set(), seconds=math.inf, clock=self._clock)
