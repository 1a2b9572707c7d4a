"""What the mask-asset service is told to do wrong, so that its callers can be tested."""

import random
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

Mode = Literal["status", "close", "malformed", "failure"]


class Misbehaviour(BaseModel):
    """One rule: which uploads it meets, and what becomes of them.

    Attributes:
        jobs: A regular expression that the whole job_id must match; None meets every upload.
        times: How many uploads it meets before it is spent; None is until told otherwise.
        delay_ms: How long the answer waits, drawn evenly between the two.
        seed: Of the delays.
        mode: `status` answers `status`; `close` ends the connection half-way through the answer;
            `malformed` answers 200 with half a JSON; `failure` answers 200 with
            `"status": "failure"`; None answers as it should, after the delay.
        status: The HTTP status that mode `status` answers.
        retry_after: The Retry-After header of that answer, seconds or an HTTP date.
        store: Whether the masks are stored although the answer is wrong.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    jobs: str | None = None
    times: int | None = Field(default=None, ge=1)
    delay_ms: tuple[float, float] = (0.0, 0.0)
    seed: int | None = None
    mode: Mode | None = None
    status: int | None = Field(default=None, ge=200, le=599)
    retry_after: str | None = None
    store: bool = False

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.mode == "status") != (self.status is not None):
            raise ValueError("mode 'status' and a status go together")
        try:
            re.compile(self.jobs or "")
        except re.error as error:
            raise ValueError(f"jobs is no regular expression: {error}") from error
        return self


RULES = TypeAdapter(list[Misbehaviour])


@dataclass(frozen=True)
class Plan:
    """What one upload will meet.

    Attributes:
        delay: Seconds that its answer waits.
        wrong: The rule that decides its answer; None answers as it should.
    """

    delay: float
    wrong: Misbehaviour | None


class _Standing:
    """A rule with what is left of it."""

    def __init__(self, rule: Misbehaviour) -> None:
        self.rule = rule
        self.left = rule.times
        self._draw = random.Random(rule.seed)  # noqa: S311 - repeatable on purpose

    def meets(self, job_id: str) -> bool:
        matches = self.rule.jobs is None or re.fullmatch(self.rule.jobs, job_id) is not None
        return matches and self.left != 0

    def use(self) -> float:
        """Count one upload, and give its delay in seconds."""
        if self.left is not None:
            self.left -= 1
        return self._draw.uniform(*self.rule.delay_ms) / 1000


class Misbehaviours:
    """The rules in force: all delays add up, and the first rule with a mode decides the answer."""

    def __init__(self, rules: Iterable[Misbehaviour] = ()) -> None:
        self.set(rules)

    def set(self, rules: Iterable[Misbehaviour]) -> None:
        """Put these rules in force, and no others."""
        self._standing = [_Standing(rule) for rule in rules]

    def add(self, rule: Misbehaviour) -> None:
        """Put a rule in force, after those that are."""
        self._standing.append(_Standing(rule))

    def plan(self, job_id: str) -> Plan:
        """Say what an upload of this job meets, and count it."""
        delay = 0.0
        wrong: Misbehaviour | None = None
        for standing in self._standing:
            if standing.meets(job_id) and (wrong is None or standing.rule.mode is None):
                delay += standing.use()
                wrong = wrong or (standing.rule if standing.rule.mode else None)
        return Plan(delay, wrong)
