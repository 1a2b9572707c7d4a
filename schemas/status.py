"""The status event: the service reports the progress of a job."""

from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BeforeValidator, ConfigDict, Field, ValidationInfo, model_validator

from schemas import cloud_events
from schemas.job import Batch
from schemas.message import READ_CONTEXT, Count, Message, MessagePart, Positive
from schemas.timestamp import Timestamp, timestamp_text

State = Literal["processing", "retrying", "completed", "failed", "cancelled"]
STATES: tuple[State, ...] = get_args(State)
TERMINAL_STATES: frozenset[State] = frozenset({"completed", "failed", "cancelled"})
"""The states that end a job. Every record of the jobs topic gets exactly one of them."""

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
ERROR_CODES: tuple[ErrorCode, ...] = get_args(ErrorCode)

MAX_ERROR_TEXT = 1000
"""Longest error message in characters, in status events and in dead letters."""


def _fit_message(message: object) -> object:
    """Cut a message and replace what UTF-8 can't encode, so that reporting an error never fails."""
    if not isinstance(message, str):
        return message
    return message[:MAX_ERROR_TEXT].encode(errors="replace").decode()


def _known_code(code: object, info: ValidationInfo) -> object:
    """Read an unknown code as `internal_error`: an event of a newer version still ends its job."""
    newer = info.context is READ_CONTEXT and isinstance(code, str) and code not in ERROR_CODES
    return "internal_error" if newer else code


class Source(MessagePart):
    """The record of the jobs topic that an event belongs to."""

    topic: str
    """The jobs topic."""
    partition: Count
    """The record's partition."""
    offset: Count
    """The record's offset."""


class ModelInfo(MessagePart):
    """The model that a job used."""

    name: str
    """Its name in the catalog."""
    sha256: str | None = None
    """SHA-256 of its weights in hex."""


class Result(MessagePart):
    """The result of a completed job."""

    stored_keys: dict[str, str]
    """Where the callback's receiver put each output."""
    width: Positive
    """Width of the upright photo, and of each mask, in pixels."""
    height: Positive
    """Height of the upright photo, and of each mask, in pixels."""
    coverage: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(default_factory=dict)
    """Share of the photo that each mask covers, from 0 to 1."""


class ErrorInfo(MessagePart):
    """Why a job failed, or why it waits for a retry."""

    code: Annotated[ErrorCode, BeforeValidator(_known_code)]
    """What went wrong, as a code for programs."""
    message: Annotated[str, BeforeValidator(_fit_message), Field(max_length=MAX_ERROR_TEXT)]
    """What went wrong, as a text for people, cut to 1,000 characters."""
    stage: str
    """The stage at which it went wrong."""
    retryable: bool
    """Whether the same job could succeed later without a change."""


class TimingsMs(MessagePart):
    """How long each stage of a job took, in milliseconds. Null if the job didn't reach it."""

    queued: float | None = None
    """From the record's timestamp to the start of the job."""
    fetch: float | None = None
    """Fetching the photo from S3."""
    preprocess: float | None = None
    """Decoding the photo and making the model's input of it."""
    segment: float | None = None
    """Inference."""
    masks: float | None = None
    """Making the outputs and encoding them as PNG."""
    callback: float | None = None
    """Uploading the masks, all tries together."""
    total: float | None = None
    """From the start of the job to the end of its last stage."""


def _when(state: State, **fields: object) -> dict[str, Any]:
    """Describe in JSON Schema what the fields are in one state."""
    return {
        "if": {"properties": {"state": {"const": state}}},
        "then": {"properties": fields},
    }


_NULL = {"type": "null"}
_SET = {"type": "object"}


class StatusEvent(Message):
    """One step of one job. The event's key is the job record's key."""

    model_config = ConfigDict(
        json_schema_extra={
            "allOf": [
                _when("processing", result=_NULL, error=_NULL),
                _when("retrying", result=_NULL),
                _when("completed", result=_SET, error=_NULL),
                _when("failed", result=_NULL, error=_SET),
                _when("cancelled", result=_NULL),
            ]
        }
    )

    event_id: Annotated[str, Field(min_length=1, max_length=128)]
    """Name of this event. Also the header `ce_id`."""
    job_id: str | None = None
    """The job. Null if the record's value can't be read."""
    user_id: str | None = None
    """The job's `user_id`. Null if the record's value can't be read."""
    provider: str | None = None
    """The job's `provider`. Null if the record's value can't be read."""
    batch: Batch | None = None
    """The job's batch, if it has one."""
    state: State
    """The job's state. `completed`, `failed` and `cancelled` end the job."""
    occurred_at: Timestamp
    """When the job entered this state. Also the header `ce_time`."""
    attempt: Positive = 1
    """How often the job was started, including this time."""
    source: Source
    """The job's record."""
    worker: str
    """The process that worked on the job."""
    model: ModelInfo | None = None
    """The model. Null until it is known."""
    result: Result | None = None
    """The result, if `completed`."""
    error: ErrorInfo | None = None
    """Why, if `failed` or `retrying`."""
    timings_ms: TimingsMs | None = None
    """How long the stages took. Null before the first one has ended."""
    replay_of: str | None = None
    """The job's `replay_of`."""
    replay_id: str | None = None
    """The replay that repeated the job. Null if the line did it."""

    @model_validator(mode="after")
    def _check_state(self) -> Self:
        """Check that result and error fit the state."""
        if (self.result is not None) != (self.state == "completed"):
            raise ValueError("a result belongs to the state completed, and to no other")
        if self.state == "failed" and self.error is None:
            raise ValueError("the state failed needs an error")
        if self.state in ("processing", "completed") and self.error is not None:
            raise ValueError(f"the state {self.state} has no error")
        return self


def cloud_event_headers(event: StatusEvent, group: str) -> list[tuple[str, bytes]]:
    """Return the headers of the event's record (CloudEvents 1.0, Kafka's binary mode)."""
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
