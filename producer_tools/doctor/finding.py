"""A finding: one thing that was looked at, how it is, and what to do about it."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

State = Literal["ok", "warning", "wrong"]


class Exit(IntEnum):
    """What `maskline doctor` exits with; of several, the lowest but 0."""

    GOOD = 0
    SETTINGS = 2
    SERVICE = 3
    MODEL = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    check: str
    """What was looked at: settings, kafka, topics, rights, line, s3, callback, models, …"""
    state: State
    says: str
    do: str = ""
    """What to do; empty where nothing is."""
    exit: Exit = Exit.SERVICE
    """What it makes the command exit with, where it is wrong."""


def good(check: str, says: str) -> Finding:
    """All is as it must be."""
    return Finding(check=check, state="ok", says=says)


def warn(check: str, says: str, do: str) -> Finding:
    """The line runs, and something should be looked at."""
    return Finding(check=check, state="warning", says=says, do=do)


def wrong(check: str, says: str, do: str, *, exit_code: Exit = Exit.SERVICE) -> Finding:
    """The line can't run so, or not for long."""
    return Finding(check=check, state="wrong", says=says, do=do, exit=exit_code)
