"""The ground that all messages stand on: frozen models, read with tolerance."""

from typing import Annotated, Final, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from schemas.errors import InvalidMessage, invalid
from schemas.json_object import json_object

READING: Final = {"reading": True}
"""Validation context of a message that was read, where tolerance is due."""

INT64_MAX: Final = 2**63 - 1


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
        fields = json_object(noun, value)
        try:
            return cls.model_validate(fields, context=READING)
        except ValidationError as error:
            raise invalid(noun, error) from None

    def write(self) -> bytes:
        """Write compact UTF-8 JSON, every field of the contract present."""
        return self.__pydantic_serializer__.to_json(self)


JobId = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9._:-]+$")]
"""A job's name: 1 to 128 of letters, digits, dot, underscore, colon and hyphen."""


def _whole(value: object) -> object:
    """Read 3.0 as 3, as JSON Schema does: some producers know only one kind of number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Count = Annotated[int, Field(strict=True, ge=0, le=INT64_MAX), BeforeValidator(_whole)]
"""A whole number from 0 to 2**63 - 1; text and booleans are refused."""

Positive = Annotated[int, Field(strict=True, ge=1, le=INT64_MAX), BeforeValidator(_whole)]
"""A whole number from 1 to 2**63 - 1; text and booleans are refused."""
