"""Misbehaviours: wrong or late responses that tests order from the mask-asset service."""

import random
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

Mode = Literal["status", "close", "malformed", "failure"]


class Misbehaviour(BaseModel):
    """One misbehaviour: the uploads that it applies to, and how the service responds to them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    jobs: str | None = None
    """A regular expression that must match the complete job_id. None: all uploads."""
    times: int | None = Field(default=None, ge=1)
    """Number of uploads that it applies to. None: no limit."""
    delay_ms: tuple[float, float] = (0.0, 0.0)
    """The response is delayed by a random time between these two, evenly distributed."""
    seed: int | None = None
    """Seed of the random delays."""
    mode: Mode | None = None
    """How the response is wrong.

    `status`: it has the status `status`. `close`: the connection ends in the middle of the
    response. `malformed`: its status is 200 and its JSON is incomplete. `failure`: its status is
    200 and its JSON is `"status": "failure"`. None: it is correct, but may be late.
    """
    status: int | None = Field(default=None, ge=200, le=599)
    """The HTTP status for the mode `status`."""
    retry_after: str | None = None
    """The Retry-After header of that response: seconds or an HTTP date."""
    store: bool = False
    """Whether the masks are stored although the response is wrong."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.mode == "status") != (self.status is not None):
            raise ValueError("mode 'status' and a status go together")
        try:
            re.compile(self.jobs or "")
        except re.error as error:
            raise ValueError(f"jobs is no regular expression: {error}") from error
        return self


MISBEHAVIOUR_LIST = TypeAdapter(list[Misbehaviour])


@dataclass(frozen=True)
class Plan:
    """How the service responds to one upload."""

    delay: float
    """Seconds by which the response is delayed."""
    misbehaviour: Misbehaviour | None
    """How the response is wrong. None: it is correct."""


class _Active:
    """A misbehaviour with the number of uploads that it still applies to."""

    def __init__(self, misbehaviour: Misbehaviour) -> None:
        self.misbehaviour = misbehaviour
        self._uploads_left = misbehaviour.times
        self._random = random.Random(misbehaviour.seed)  # noqa: S311 - repeatable on purpose

    def applies_to(self, job_id: str) -> bool:
        pattern = self.misbehaviour.jobs
        matches = pattern is None or re.fullmatch(pattern, job_id) is not None
        return matches and self._uploads_left != 0

    def use(self) -> float:
        """Count one upload, and return its delay in seconds."""
        if self._uploads_left is not None:
            self._uploads_left -= 1
        return self._random.uniform(*self.misbehaviour.delay_ms) / 1000


class Misbehaviours:
    """The active misbehaviours. All delays add up. The first one with a mode sets the response."""

    def __init__(self, misbehaviours: Iterable[Misbehaviour] = ()) -> None:
        self.set(misbehaviours)

    def set(self, misbehaviours: Iterable[Misbehaviour]) -> None:
        """Replace the active misbehaviours."""
        self._active = [_Active(misbehaviour) for misbehaviour in misbehaviours]

    def add(self, misbehaviour: Misbehaviour) -> None:
        """Activate one more, after the others."""
        self._active.append(_Active(misbehaviour))

    def plan(self, job_id: str) -> Plan:
        """Return how to respond to an upload of this job, and count the upload."""
        delay = 0.0
        decisive: Misbehaviour | None = None
        for active in self._active:
            if active.applies_to(job_id) and (decisive is None or active.misbehaviour.mode is None):
                delay += active.use()
                decisive = decisive or (active.misbehaviour if active.misbehaviour.mode else None)
        return Plan(delay, decisive)
