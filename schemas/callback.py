"""The callback: the upload of finished masks to the mask-asset service, and its response."""

from typing import Annotated, Literal

from pydantic import Field

from schemas.message import Message

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
    stored_keys: Annotated[
        dict[
            Annotated[str, Field(min_length=1, max_length=128)],
            Annotated[str, Field(min_length=1, max_length=4096)],
        ],
        Field(max_length=32),
    ]
    """Where the receiver stored each output."""
