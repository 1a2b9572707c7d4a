"""What the service says of a job as it goes on."""

from typing import Annotated, Any, Final, Literal, Self, get_args

from pydantic import BeforeValidator, ConfigDict, Field, ValidationInfo, model_validator

from schemas import cloud_events
from schemas.job import Batch
from schemas.message import READING, Count, Message, Part, Positive
from schemas.timestamp import Timestamp, timestamp_text

State = Literal["processing", "retrying", "completed", "failed", "cancelled"]
STATES: Final[tuple[State, ...]] = get_args(State)
TERMINAL_STATES: Final[frozenset[State]] = frozenset({"completed", "failed", "cancelled"})
"""The states that end a job: every record of the jobs topic gets exactly one of them."""

ErrorCode = Literal[
    "invalid_message",
    "invalid_image",
    "image_too_large",
    "unsupported_format",
    "image_not_found",
    "image_forbidden",
    "checksum_mismatch",
    "unknown_model",
    "unsupported_output",
    "callback_forbidden",
    "callback_rejected",
    "callback_unavailable",
    "storage_unavailable",
    "deadline_exceeded",
    "crash_loop",
    "internal_error",
]
ERROR_CODES: Final[tuple[ErrorCode, ...]] = get_args(ErrorCode)

MAX_ERROR_TEXT: Final = 1000
"""Characters of an error's message, in a status event as in a dead letter."""


def _told(message: object) -> object:
    """Cut a message, and mend what UTF-8 can't carry: telling of an error must never fail."""
    if not isinstance(message, str):
        return message
    return message[:MAX_ERROR_TEXT].encode(errors="replace").decode()


def _known(code: object, info: ValidationInfo) -> object:
    """Read the code of a newer version as `internal_error`: the event still ends its job."""
    newer = info.context is READING and isinstance(code, str) and code not in ERROR_CODES
    return "internal_error" if newer else code


class Source(Part):
    """The record of the jobs topic that an event speaks of."""

    topic: str
    """The jobs topic."""
    partition: Count
    """The record's partition."""
    offset: Count
    """The record's offset."""


class ModelInfo(Part):
    """The model that a job ran with."""

    name: str
    """Its name in the catalog."""
    sha256: str | None = None
    """SHA-256 of its weights in hex."""


class Result(Part):
    """What came of a completed job."""

    stored_keys: dict[str, str]
    """Where the callback's receiver put each output."""
    width: Positive
    """Width of the upright photo, and of each mask, in pixels."""
    height: Positive
    """Height of the upright photo, and of each mask, in pixels."""
    coverage: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(default_factory=dict)
    """Part of the photo that each mask covers, from 0 to 1."""


class ErrorInfo(Part):
    """Why a job failed, or is being tried again."""

    code: Annotated[ErrorCode, BeforeValidator(_known)]
    """What went wrong, for programs."""
    message: Annotated[str, BeforeValidator(_told), Field(max_length=MAX_ERROR_TEXT)]
    """What went wrong, for people; cut to 1,000 characters."""
    stage: str
    """Where on the job's way it went wrong."""
    retryable: bool
    """Whether the same job could succeed later, unchanged."""


class TimingsMs(Part):
    """How long each stage of a job took, in milliseconds; null where it wasn't reached."""

    queued: float | None = None
    """From the record's timestamp to its start."""
    fetch: float | None = None
    """Getting the photo from S3."""
    preprocess: float | None = None
    """Decoding the photo and laying it out for the model."""
    segment: float | None = None
    """Inference."""
    masks: float | None = None
    """Making the outputs and their PNG files."""
    callback: float | None = None
    """Uploading them, all tries together."""
    total: float | None = None
    """From the start to the end of the job's work."""


def _only(state: State, **fields: object) -> dict[str, Any]:
    """Say in JSON Schema what the fields are in one state."""
    return {
        "if": {"properties": {"state": {"const": state}}},
        "then": {"properties": fields},
    }


_NULL: Final = {"type": "null"}
_SET: Final = {"type": "object"}


class StatusEvent(Message):
    """One step of one job; the event's key is the job record's key."""

    model_config = ConfigDict(
        json_schema_extra={
            "allOf": [
                _only("processing", result=_NULL, error=_NULL),
                _only("retrying", result=_NULL),
                _only("completed", result=_SET, error=_NULL),
                _only("failed", result=_NULL, error=_SET),
                _only("cancelled", result=_NULL),
            ]
        }
    )

    event_id: Annotated[str, Field(min_length=1, max_length=128)]
    """Name of this event, also `ce_id`."""
    job_id: str | None = None
    """The job. Null where the record's value can't be read."""
    user_id: str | None = None
    """The job's `user_id`. Null where the record's value can't be read."""
    provider: str | None = None
    """The job's `provider`. Null where the record's value can't be read."""
    batch: Batch | None = None
    """The job's batch, if it has one."""
    state: State
    """How far the job is. `completed`, `failed` and `cancelled` end it."""
    occurred_at: Timestamp
    """When it came to that, also `ce_time`."""
    attempt: Positive = 1
    """How often the job was begun, this time included."""
    source: Source
    """The job's record."""
    worker: str
    """The process that did it."""
    model: ModelInfo | None = None
    """The model. Null until it is known."""
    result: Result | None = None
    """What came of it, when `completed`."""
    error: ErrorInfo | None = None
    """Why, when `failed` or `retrying`."""
    timings_ms: TimingsMs | None = None
    """How long it took. Null until there is something to tell."""
    replay_of: str | None = None
    """The job's `replay_of`."""
    replay_id: str | None = None
    """The replay run that did it. Null on the line itself."""

    @model_validator(mode="after")
    def _agree(self) -> Self:
        """Hold state, result and error together."""
        if (self.result is not None) != (self.state == "completed"):
            raise ValueError("a result belongs to the state completed, and to no other")
        if self.state == "failed" and self.error is None:
            raise ValueError("the state failed needs an error")
        if self.state in ("processing", "completed") and self.error is not None:
            raise ValueError(f"the state {self.state} has no error")
        return self


def cloud_event_headers(event: StatusEvent, group: str) -> list[tuple[str, bytes]]:
    """Give the record's headers, CloudEvents 1.0 in Kafka's binary mode."""
    headers = {
        cloud_events.SPEC_VERSION: cloud_events.VERSION,
        cloud_events.ID: event.event_id,
        cloud_events.TYPE: cloud_events.event_type(event.state),
        cloud_events.SOURCE: cloud_events.event_source(group),
        cloud_events.TIME: timestamp_text(event.occurred_at),
        cloud_events.SUBJECT: event.job_id,
        cloud_events.CONTENT_TYPE: cloud_events.JSON,
    }
    return [(name, text.encode()) for name, text in headers.items() if text is not None]
