"""A dead letter: the job record as it arrived, and in its headers why it failed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final, Self

from pydantic import Field, ValidationError, WithJsonSchema

from schemas.errors import InvalidMessage, invalid
from schemas.message import INT64_MAX, Part
from schemas.status import MAX_ERROR_TEXT, ErrorInfo, Source
from schemas.timestamp import Timestamp

Headers = Sequence[tuple[str, bytes | None]]
"""A record's headers in order; a name may come twice, and Kafka knows a null value."""

TOPIC: Final = "__connect.errors.topic"
PARTITION: Final = "__connect.errors.partition"
OFFSET: Final = "__connect.errors.offset"
STAGE: Final = "__connect.errors.stage"
EXCEPTION_CLASS: Final = "__connect.errors.exception.class.name"
EXCEPTION_MESSAGE: Final = "__connect.errors.exception.message"
ERROR_CODE: Final = "mask-error-code"
FAILED_AT: Final = "mask-failed-at"

Decimal = Annotated[
    int,
    Field(ge=0, le=INT64_MAX),
    WithJsonSchema({"type": "string", "pattern": "^[0-9]{1,19}$"}),
]
"""A whole number that a header carries as decimal digits."""


class DeadLetter(Part):
    """Why a job record was put aside: the headers added to those that it arrived with."""

    topic: str = Field(alias=TOPIC)
    """The topic that the record was read from."""
    partition: Decimal = Field(alias=PARTITION)
    """The record's partition there, in decimal digits."""
    offset: Decimal = Field(alias=OFFSET)
    """The record's offset there, in decimal digits."""
    stage: str = Field(alias=STAGE)
    """Where on the job's way it failed."""
    exception_class: str = Field(alias=EXCEPTION_CLASS)
    """Full name of the exception."""
    exception_message: str = Field(alias=EXCEPTION_MESSAGE, max_length=MAX_ERROR_TEXT)
    """What it said, cut to 1,000 characters."""
    error_code: str = Field(alias=ERROR_CODE)
    """The error's code, as in the status event."""
    failed_at: Timestamp = Field(alias=FAILED_AT)
    """When it failed."""

    @classmethod
    def read(cls, headers: Headers) -> Self:
        """Read a dead letter's headers; of a name that comes twice, the last was added here.

        Raises:
            InvalidMessage: when a header is missing or makes no sense.
        """
        try:
            texts = {
                name: value.decode()
                for name, value in headers
                if value is not None and name in HEADERS
            }
            return cls.model_validate(texts)
        except UnicodeDecodeError as error:
            raise InvalidMessage(f"DeadLetter: a header is not UTF-8: {error.reason}") from None
        except ValidationError as error:
            raise invalid("DeadLetter", error) from None

    def write(self) -> list[tuple[str, bytes]]:
        """Write the eight headers, in the contract's order."""
        values = self.model_dump(by_alias=True)
        return [(name, str(values[name]).encode()) for name in HEADERS]


HEADERS: Final = tuple(str(field.alias) for field in DeadLetter.model_fields.values())
"""Names of the headers that a dead letter adds, in order."""


def dead_letter_headers(
    arrived: Headers, *, source: Source, error: ErrorInfo, exception: str, failed_at: datetime
) -> list[tuple[str, bytes | None]]:
    """Give the headers of a dead letter: those of the record as it arrived, then ours.

    Args:
        arrived: the record's own headers, kept untouched, first.
        source: the record.
        error: why it failed, as in its status event.
        exception: full name of the exception's class, `module.Class`.
        failed_at: when it failed, as in its status event.
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
        }
    )
    return [*arrived, *letter.write()]


def arrived_headers(headers: Headers) -> list[tuple[str, bytes | None]]:
    """Give the headers that the record had before it became a dead letter, for a redrive."""
    own = len(headers) - len(HEADERS)
    if tuple(name for name, _ in headers[own:]) != HEADERS:
        raise InvalidMessage("DeadLetter: the headers don't end with those of a dead letter")
    return list(headers[:own])
