"""A dead letter: the job record as it arrived, with headers that state why it failed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Self

from pydantic import ConfigDict, Field, ValidationError, WithJsonSchema

from schemas.errors import InvalidMessage, invalid_message
from schemas.message import INT64_MAX, MessagePart
from schemas.status import MAX_ERROR_TEXT, ErrorInfo, Source
from schemas.timestamp import Timestamp

Headers = Sequence[tuple[str, bytes | None]]
"""A record's headers in order. A name may occur twice, and a value may be null."""

TOPIC = "__connect.errors.topic"
PARTITION = "__connect.errors.partition"
OFFSET = "__connect.errors.offset"
STAGE = "__connect.errors.stage"
EXCEPTION_CLASS = "__connect.errors.exception.class.name"
EXCEPTION_MESSAGE = "__connect.errors.exception.message"
ERROR_CODE = "mask-error-code"
FAILED_AT = "mask-failed-at"
VALUE_OMITTED = "mask-value-omitted"
UNREADABLE = "unreadable"
"""The value of `mask-value-omitted` if not even the size of the record's value is known."""

_OMITTED = r"^([0-9]{1,19}|unreadable)$"

HeaderInteger = Annotated[
    int,
    Field(ge=0, le=INT64_MAX),
    WithJsonSchema({"type": "string", "pattern": "^[0-9]{1,19}$"}),
]
"""A whole number, written in a header as decimal digits."""


OmittedValue = Annotated[
    Annotated[str, Field(pattern=_OMITTED)] | None,
    WithJsonSchema({"type": "string", "pattern": _OMITTED}),
]
"""The size of a value in bytes, or `unreadable`."""


class DeadLetter(MessagePart):
    """Why a job failed: the headers that are added to those of its record."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=False)

    topic: str = Field(alias=TOPIC)
    """The topic that the record was read from."""
    partition: HeaderInteger = Field(alias=PARTITION)
    """The record's partition in that topic, in decimal digits."""
    offset: HeaderInteger = Field(alias=OFFSET)
    """The record's offset in that topic, in decimal digits."""
    stage: str = Field(alias=STAGE)
    """The stage at which the job failed."""
    exception_class: str = Field(alias=EXCEPTION_CLASS)
    """Full name of the exception's class."""
    exception_message: str = Field(alias=EXCEPTION_MESSAGE, max_length=MAX_ERROR_TEXT)
    """The exception's message, cut to 1,000 characters."""
    error_code: str = Field(alias=ERROR_CODE)
    """The error's code, as in the status event."""
    failed_at: Timestamp = Field(alias=FAILED_AT)
    """When the job failed."""
    value_omitted: OmittedValue = Field(None, alias=VALUE_OMITTED)
    """Present only if the dead letter doesn't contain the record's value, because it doesn't fit or
    can't be read. Its size in bytes, or `unreadable`. The key and the headers may be missing too.
    The record itself is where the other headers say, until the jobs topic's retention."""

    @classmethod
    def read(cls, headers: Headers) -> Self:
        """Read a dead letter's headers. If a name occurs twice, the last one counts.

        Raises:
            InvalidMessage: A header is missing or its value is invalid.
        """
        latest = max((at for at, (name, _) in enumerate(headers) if name == TOPIC), default=0)
        try:
            texts = {
                name: value.decode()
                for name, value in headers[latest:]
                if value is not None and name in _ALL_HEADERS
            }
            return cls.model_validate(texts)
        except UnicodeDecodeError as error:
            raise InvalidMessage(f"DeadLetter: a header is not UTF-8: {error.reason}") from None
        except ValidationError as error:
            raise invalid_message("DeadLetter", error) from None

    def write(self) -> list[tuple[str, bytes]]:
        """Write the headers, in the contract's order."""
        values = self.model_dump(by_alias=True)
        return [
            (name, str(values[name]).encode()) for name in _ALL_HEADERS if values[name] is not None
        ]


_ALL_HEADERS = tuple(str(field.alias) for field in DeadLetter.model_fields.values())
HEADERS = tuple(name for name in _ALL_HEADERS if name != VALUE_OMITTED)
"""Names of the headers that every dead letter adds, in the contract's order."""


def dead_letter_headers(
    arrived: Headers,
    *,
    source: Source,
    error: ErrorInfo,
    exception: str,
    failed_at: datetime,
    value_omitted: str | None = None,
) -> list[tuple[str, bytes | None]]:
    """Return the headers of a dead letter: those of the job record, then ours.

    Args:
        arrived: The headers of the job record. They come first and unchanged.
        source: The job record.
        error: Why it failed, as in its status event.
        exception: Full name of the exception's class, `module.Class`.
        failed_at: When it failed, as in its status event.
        value_omitted: If the dead letter doesn't contain the value: its size, or `unreadable`.
    """
    letter = DeadLetter.model_validate(
        {
            TOPIC: source.topic,
            PARTITION: source.partition,
            OFFSET: source.offset,
            STAGE: error.stage,
            EXCEPTION_CLASS: exception,
            EXCEPTION_MESSAGE: error.message,
            ERROR_CODE: error.code,
            FAILED_AT: failed_at,
            VALUE_OMITTED: value_omitted,
        }
    )
    return [*arrived, *letter.write()]


def arrived_headers(headers: Headers) -> list[tuple[str, bytes | None]]:
    """Return the headers that the job record had before it became a dead letter (for a redrive)."""
    names = tuple(name for name, _ in headers)
    own = len(headers) - len(HEADERS) - (names[-1:] == (VALUE_OMITTED,))
    if names[own : own + len(HEADERS)] != HEADERS:
        raise InvalidMessage("DeadLetter: the headers don't end with those of a dead letter")
    return list(headers[:own])
