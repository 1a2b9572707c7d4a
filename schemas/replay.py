"""Replays: the names that follow from a replay's own, and which records are its copies."""

import re
from collections.abc import Sequence

RANGE = "mask-replay-range"
"""Header of a copy: the offsets that the replay was told to repeat, `<from>-<to>`."""

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_RANGE = re.compile(rb"([0-9]{1,18})-([0-9]{1,18})")

Headers = Sequence[tuple[str, bytes | None]]


def check_replay_id(name: str) -> str:
    """Return the name of a replay.

    Raises:
        ValueError: No replay can have it.
    """
    if _NAME.fullmatch(name) is None:
        raise ValueError("a replay's name has 1 to 64 letters, digits, dots, _ and -")
    return name


def run_group(group: str, replay_id: str) -> str:
    """Return the consumer group in which a replay run of the line of `group` works."""
    return f"{group}-replay-{replay_id}"


def copier_id(group: str, replay_id: str) -> str:
    """Return the transactional id with which copies are appended."""
    return f"{run_group(group, replay_id)}-copy"


def copy_id(replay_id: str, offset: int) -> str:
    """Return the job's name of the copy of the record at `offset`."""
    return f"{replay_id}:{offset}"


def copied_offset(job_id: str, replay_id: str) -> int | None:
    """Return which record a job is a copy of, by its name. None: of none of this replay."""
    name, colon, digits = job_id.partition(":")
    is_copy = name == replay_id and colon and digits.isdecimal() and len(digits) <= 19
    return int(digits) if is_copy else None


def write_range(offsets: range) -> tuple[str, bytes]:
    """Return the header that says what was to be repeated."""
    return RANGE, f"{offsets.start}-{offsets.stop}".encode()


def read_range(headers: Headers) -> range | None:
    """Return what was to be repeated, from the headers of a copy. None: they don't say."""
    for name, value in headers:
        found = _RANGE.fullmatch(value) if name == RANGE and value else None
        if found:
            return range(int(found[1]), int(found[2]))
    return None
