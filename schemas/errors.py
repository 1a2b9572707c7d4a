"""The error of a message that can't be read."""

from collections.abc import Mapping
from reprlib import Repr
from typing import Any, ClassVar, Literal

from pydantic import ValidationError

MAX_PROBLEMS = 3
PRIVATE_FIELDS = frozenset({"callback_url"})
"""Fields whose value never appears in an error text: a URL may contain a password or a token."""


class InvalidMessage(Exception):
    """The bytes are not a valid message. The text states which field is wrong and why."""

    code: ClassVar[Literal["invalid_message"]] = "invalid_message"


def invalid_message(noun: str, error: ValidationError) -> InvalidMessage:
    """Describe the first problems of a validation in one line: path, reason, shortened value."""
    problems = error.errors(include_url=False, include_context=False)
    text = "; ".join(_problem(problem) for problem in problems[:MAX_PROBLEMS])
    more = len(problems) - MAX_PROBLEMS
    return InvalidMessage(f"{noun}: {text}" + (f"; and {more} more" if more > 0 else ""))


def _problem(problem: Mapping[str, Any]) -> str:
    """Describe one problem as `field.path: reason, got value`."""
    path = ".".join(str(step)[:64] for step in problem["loc"])
    reason = problem["msg"].removeprefix("Value error, ")
    reason = f"{path}: {reason}" if path else reason
    if problem["type"] == "missing" or PRIVATE_FIELDS.intersection(problem["loc"]) or not path:
        return reason
    return f"{reason}, got {_shortened(problem['input'])}"


def _shortened(value: object) -> str:
    """Return an escaped form of the value, at most 120 characters long."""
    formatter = Repr()
    formatter.maxstring = formatter.maxother = formatter.maxlong = 80
    formatter.maxlevel = 2
    return formatter.repr(value)[:120]
