"""What can be wrong with a message that was read."""

from collections.abc import Mapping
from reprlib import Repr
from typing import Any, ClassVar, Final

from pydantic import ValidationError

SHOWN_PROBLEMS: Final = 3
PRIVATE_FIELDS: Final = frozenset({"callback_url"})
"""Fields whose value is never repeated in an error: a URL may carry a password or a token."""


class InvalidMessage(Exception):
    """The bytes are not the message that the contract promises; the text says where and why."""

    code: ClassVar = "invalid_message"
    retryable: ClassVar = False


def invalid(noun: str, error: ValidationError) -> InvalidMessage:
    """Tell the first problems of a validation in a line: field path, reason, value cut short."""
    problems = error.errors(include_url=False, include_context=False)
    told = "; ".join(_problem(problem) for problem in problems[:SHOWN_PROBLEMS])
    more = len(problems) - SHOWN_PROBLEMS
    return InvalidMessage(f"{noun}: {told}" + (f"; and {more} more" if more > 0 else ""))


def _problem(problem: Mapping[str, Any]) -> str:
    """Say one problem as `field.path: reason, got value`."""
    path = ".".join(str(step)[:64] for step in problem["loc"])
    reason = problem["msg"].removeprefix("Value error, ")
    reason = f"{path}: {reason}" if path else reason
    if problem["type"] == "missing" or PRIVATE_FIELDS.intersection(problem["loc"]) or not path:
        return reason
    return f"{reason}, got {_shown(problem['input'])}"


def _shown(value: object) -> str:
    """Show a value in at most about a hundred characters, escaped."""
    short = Repr()
    short.maxstring = short.maxother = short.maxlong = 80
    short.maxlevel = 2
    return short.repr(value)[:120]
