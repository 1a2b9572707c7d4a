"""The callback: finished masks sent to the mask-asset service, and its answer."""

from typing import Annotated, Final, Literal

from pydantic import Field

from schemas.message import Message

AUTH_HEADER: Final = "X-Internal-Auth"
IDEMPOTENCY_HEADER: Final = "Idempotency-Key"

FIELDS: Final = ("user_id", "job_id", "provider")
"""The form's fields, taken from the job."""
FILE_TYPE: Final = "image/png"


def file_name(output: str) -> str:
    """Name the file that carries an output; the form's part is named as the output itself."""
    return f"{output}.png"


def idempotency_key(
    job_id: str, topic: str, partition: int, offset: int, replay_id: str | None = None
) -> str:
    """Name an upload, the same on every retry and redelivery of the record."""
    key = f"{job_id}/{topic}/{partition}/{offset}"
    return key if replay_id is None else f"{replay_id}/{key}"


class CallbackReply(Message):
    """The answer to an upload that took the masks."""

    status: Literal["success"]
    """That the masks are stored."""
    stored_keys: Annotated[
        dict[
            Annotated[str, Field(min_length=1, max_length=128)],
            Annotated[str, Field(min_length=1, max_length=4096)],
        ],
        Field(max_length=32),
    ]
    """Where each output lies now."""
