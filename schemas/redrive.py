"""Redriven records: the two headers that say of which dead letter, and how often."""

from collections.abc import Sequence

OF = "mask-redrive-of"
"""`<topic>/<partition>/<offset>` of the dead letter."""
REDRIVES = "mask-redrives"
"""How often the record was redriven, from 1."""

Headers = Sequence[tuple[str, bytes | None]]


def redriven_headers(
    arrived: Headers, *, letter: str, times: int
) -> list[tuple[str, bytes | None]]:
    """Return the headers of a redriven record: those of the job record, then ours.

    Args:
        arrived: The headers of the job record. Those of an earlier redrive are replaced.
        letter: The dead letter, as `letter_name` gives it.
        times: How often the record was redriven, this time included.
    """
    return [
        *without_redrive(arrived),
        (OF, letter.encode()),
        (REDRIVES, str(times).encode()),
    ]


def without_redrive(headers: Headers) -> list[tuple[str, bytes | None]]:
    """Return the headers without those of a redrive."""
    return [(name, value) for name, value in headers if name not in (OF, REDRIVES)]


def letter_name(topic: str, partition: int, offset: int) -> str:
    """Return how a dead letter is named in `mask-redrive-of`."""
    return f"{topic}/{partition}/{offset}"


def redrive_of(headers: Headers) -> str | None:
    """Return the dead letter that the record was made of. None: it isn't redriven."""
    value = _last(headers, OF)
    return None if value is None else value.decode(errors="replace")


def redrives(headers: Headers) -> int:
    """Return how often the record was redriven."""
    value = _last(headers, REDRIVES) or b""
    if value.isdigit() and len(value) <= 18:
        return int(value)
    return 0 if redrive_of(headers) is None else 1


def _last(headers: Headers, name: str) -> bytes | None:
    """Return the value of the last header of that name."""
    return next((value for each, value in reversed(headers) if each == name), None)
