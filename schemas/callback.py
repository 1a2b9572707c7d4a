"""The callback: the upload of finished masks to the mask-asset service, and its response."""

from collections.abc import Collection
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError

from schemas.errors import InvalidMessage, invalid_message
from schemas.json_object import lenient_json_object
from schemas.message import READ_CONTEXT, Message

AUTH_HEADER = "X-Internal-Auth"
IDEMPOTENCY_HEADER = "Idempotency-Key"

FIELDS = ("user_id", "job_id", "provider")
"""The form's fields. Their values come from the fields of the same names in the job."""
FILE_TYPE = "image/png"


def file_name(output: str) -> str:
    """Return the name of an output's file. The name of its form field is the output itself."""
    return f"{output}.png"


def idempotency_key(
    job_id: str, topic: str, partition: int, offset: int, replay_id: str | None = None
) -> str:
    """Return the key of an upload. It is the same on every retry and redelivery of the record."""
    key = f"{job_id}/{topic}/{partition}/{offset}"
    return key if replay_id is None else f"{replay_id}/{key}"


class CallbackReply(Message):
    """The response to an upload that was accepted."""

    status: Literal["success"]
    """The masks are stored."""
    stored_keys: dict[str, Annotated[str, Field(min_length=1)]]
    """Where the receiver stored each output: a key for each file that was sent."""

    @classmethod
    def read_lenient(cls, value: bytes, *, files: Collection[str]) -> Self:
        """Return the response to an upload of these files. Other fields may hold anything.

        Raises:
            InvalidMessage: The response doesn't give a stored key for each file.
        """
        fields = lenient_json_object(cls.__name__, value)
        stored = fields.get("stored_keys")
        if isinstance(stored, dict):
            if missing := [name for name in files if name not in stored]:
                raise InvalidMessage(f"{cls.__name__}: stored_keys has no {', '.join(missing)}")
            fields["stored_keys"] = {name: stored[name] for name in files}
        try:
            return cls.model_validate(fields, context=READ_CONTEXT)
        except ValidationError as error:
            raise invalid_message(cls.__name__, error) from None
