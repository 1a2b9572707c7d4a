"""The ground that all messages stand on: frozen models, strict JSON, timestamps in UTC."""

import json
import math
import re
from collections import Counter
from datetime import UTC, datetime
from typing import Annotated, Any, Final, NoReturn, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    WithJsonSchema,
)

from schemas.errors import InvalidMessage, invalid

MAX_NESTING: Final = 64
"""Levels of objects and lists in a message: writers of JSON stop at some depth, so readers must."""

READING: Final = {"reading": True}
"""Validation context of a message that was read, where tolerance is due."""

INT64_MAX: Final = 2**63 - 1

_TIMESTAMP: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d([.,]\d{1,9})?([Zz]|[+-]\d\d:?\d\d)?", re.ASCII
)


class Part(BaseModel):
    """A frozen part of a message: unknown fields are ignored, NaN and infinity refused."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        allow_inf_nan=False,
        protected_namespaces=(),
        use_attribute_docstrings=True,
        json_schema_serialization_defaults_required=True,
    )


class Message(Part):
    """A record's value: JSON in, JSON out."""

    @classmethod
    def read(cls, value: bytes | None) -> Self:
        """Read a record's value; whatever the bytes, nothing but `InvalidMessage` is raised."""
        noun = cls.__name__
        if value is None:
            raise InvalidMessage(f"{noun}: the record has no value (a tombstone)")
        fields = _json_object(noun, value)
        try:
            return cls.model_validate(fields, context=READING)
        except ValidationError as error:
            raise invalid(noun, error) from None

    def write(self) -> bytes:
        """Write compact UTF-8 JSON, every field of the contract present."""
        return self.__pydantic_serializer__.to_json(self)


def _json_object(noun: str, value: bytes) -> dict[str, Any]:
    """Parse a JSON object that can be written again: no NaN, doubles, depth or half characters."""
    try:
        parsed = json.loads(
            value.decode(),
            object_pairs_hook=_unique,
            parse_float=_finite,
            parse_constant=_not_a_number,
        )
        if b"\\u" in value:
            # An escape may be half of a surrogate pair, which no later event could carry.
            json.dumps(parsed, ensure_ascii=False).encode()
    except UnicodeError as error:
        raise InvalidMessage(f"{noun}: not UTF-8: {error}") from None
    except RecursionError:
        raise InvalidMessage(f"{noun}: nested deeper than {MAX_NESTING} levels") from None
    except ValueError as error:
        raise InvalidMessage(f"{noun}: not JSON: {error}") from None
    if not isinstance(parsed, dict):
        raise InvalidMessage(f"{noun}: not a JSON object but {type(parsed).__name__}")
    if value.count(b"{") + value.count(b"[") > MAX_NESTING and _deeper(parsed, MAX_NESTING):
        raise InvalidMessage(f"{noun}: nested deeper than {MAX_NESTING} levels")
    return parsed


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse an object that names a field twice: readers would disagree on which one counts."""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise ValueError(f"the field {twice[:64]!r} appears twice in one object")
    return fields


def _finite(digits: str) -> float:
    """Refuse a number too large for a double, which would be written back as no JSON at all."""
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"the number {digits[:64]} is out of range")
    return number


def _not_a_number(name: str) -> NoReturn:
    """Refuse the constants that Python reads but JSON doesn't have."""
    raise ValueError(f"{name} is not a JSON value")


def _deeper(value: object, levels: int) -> bool:
    """Tell whether objects and lists nest deeper than so many levels, without recursion."""
    level: list[object] = [value]
    for _ in range(levels):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return any(isinstance(inner, dict | list) for inner in level)


def _instant(value: object) -> datetime:
    """Read ISO 8601 text or a datetime as UTC milliseconds; without a zone it is taken as UTC."""
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
    """Write a UTC instant as the contract does: `2026-11-22T10:30:00.000Z`."""
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
"""An instant: read from ISO 8601, kept in UTC to the millisecond, written with a Z."""

JobId = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9._:-]+$")]
"""A job's name: 1 to 128 of letters, digits, dot, underscore, colon and hyphen."""


def _whole(value: object) -> object:
    """Read 3.0 as 3, as JSON Schema does: some producers know only one kind of number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Count = Annotated[int, Field(strict=True, ge=0, le=INT64_MAX), BeforeValidator(_whole)]
"""A whole number from 0 to 2**63 - 1; text and booleans are refused."""

Positive = Annotated[int, Field(strict=True, ge=1, le=INT64_MAX), BeforeValidator(_whole)]
"""A whole number from 1 to 2**63 - 1; text and booleans are refused."""
