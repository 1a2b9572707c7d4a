"""The base classes of all messages: frozen models that ignore unknown fields."""

from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from schemas.errors import InvalidMessage, invalid_message
from schemas.json_object import json_object

READ_CONTEXT = {"reading": True}
"""Validation context for reading a message that another version of the service may have written."""

INT64_MAX = 2**63 - 1


class MessagePart(BaseModel):
    """A frozen part of a message. Unknown fields are ignored, NaN and infinity are refused."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        allow_inf_nan=False,
        protected_namespaces=(),
        use_attribute_docstrings=True,
        json_schema_serialization_defaults_required=True,
    )


class Message(MessagePart):
    """A record's value, which is JSON."""

    @classmethod
    def read(cls, value: bytes | None) -> Self:
        """Read a record's value.

        Raises:
            InvalidMessage: The value isn't such a message. No other exception is raised.
        """
        noun = cls.__name__
        if value is None:
            raise InvalidMessage(f"{noun}: the record has no value (a tombstone)")
        fields = json_object(noun, value)
        try:
            return cls.model_validate(fields, context=READ_CONTEXT)
        except ValidationError as error:
            raise invalid_message(noun, error) from None

    def write(self) -> bytes:
        """Write compact UTF-8 JSON with every field of the contract."""
        return self.__pydantic_serializer__.to_json(self)


JobId = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9._:-]+$")]
"""A job's name: 1 to 128 letters, digits, dots, underscores, colons and hyphens."""


def _whole(value: object) -> object:
    """Read 3.0 as 3, as JSON Schema does: some languages have only one type of number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Count = Annotated[int, Field(strict=True, ge=0, le=INT64_MAX), BeforeValidator(_whole)]
"""A whole number from 0 to 2**63 - 1; text and booleans are refused."""

Positive = Annotated[int, Field(strict=True, ge=1, le=INT64_MAX), BeforeValidator(_whole)]
"""A whole number from 1 to 2**63 - 1; text and booleans are refused."""
