"""A point in time, as it is written in messages."""

import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_TIMESTAMP = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d([.,]\d{1,9})?([Zz]|[+-]\d\d:?\d\d)?", re.ASCII
)


def _instant(value: object) -> datetime:
    """Read ISO 8601 text or a datetime as UTC, cut to milliseconds. Without a zone it is UTC."""
    if isinstance(value, str):
        if _TIMESTAMP.fullmatch(value) is None:
            raise ValueError("not an ISO 8601 date and time like 2026-11-22T10:30:00.000Z")
        value = datetime.fromisoformat(value.upper())
    if not isinstance(value, datetime):
        raise ValueError("not an ISO 8601 date and time")
    try:
        value = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:
        raise ValueError("a time outside the years 1 to 9999") from None
    return value.replace(microsecond=value.microsecond // 1000 * 1000)


def timestamp_text(instant: datetime) -> str:
    """Write a point in time in UTC as `2026-11-22T10:30:00.000Z`."""
    return instant.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


Timestamp = Annotated[
    datetime,
    BeforeValidator(_instant),
    PlainSerializer(timestamp_text, return_type=str),
    WithJsonSchema(
        {
            "type": "string",
            "format": "date-time",
            "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?"
            r"(Z|[+-][0-9]{2}:[0-9]{2})$",
        }
    ),
]
"""A point in time: read from ISO 8601, kept in UTC to the millisecond, written with a Z."""
