"""Status events: what can be written, and what can't."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.errors import InvalidMessage
from schemas.examples import COMPLETED, UNREADABLE
from schemas.json_schema import MESSAGES, message_schema
from schemas.status import ErrorInfo, Source, StatusEvent, cloud_event_headers

SCHEMA = jsonschema.Draft202012Validator(message_schema(MESSAGES[1]))
ERROR = UNREADABLE["error"]
RESULT = COMPLETED["result"]


@pytest.mark.parametrize(
    ("state", "result", "error"),
    [
        ("processing", None, None),
        ("retrying", None, None),
        ("retrying", None, ERROR),
        ("completed", RESULT, None),
        ("failed", None, ERROR),
        ("cancelled", None, None),
        ("cancelled", None, ERROR),
    ],
)
def test_state_agrees_with_result_and_error(state: str, result: object, error: object) -> None:
    """Model and JSON Schema accept what makes sense."""
    event = {**COMPLETED, "state": state, "result": result, "error": error}
    SCHEMA.validate(event)
    assert event == json.loads(StatusEvent.model_validate(event).write())


@pytest.mark.parametrize(
    ("state", "result", "error"),
    [
        ("processing", RESULT, None),
        ("processing", None, ERROR),
        ("retrying", RESULT, None),
        ("completed", None, None),
        ("completed", RESULT, ERROR),
        ("failed", None, None),
        ("failed", RESULT, ERROR),
        ("cancelled", RESULT, None),
        ("queued", None, None),
    ],
)
def test_contradictions_are_refused(state: str, result: object, error: object) -> None:
    """Neither model nor JSON Schema lets nonsense pass."""
    event = {**COMPLETED, "state": state, "result": result, "error": error}
    assert not SCHEMA.is_valid(event)
    with pytest.raises(InvalidMessage):
        StatusEvent.read(json.dumps(event).encode())


def test_headers_are_those_of_cloud_events() -> None:
    """Names and order are those of docs/messages.md."""
    event = StatusEvent.model_validate(COMPLETED)
    expected = [
        ("ce_specversion", b"1.0"),
        ("ce_id", COMPLETED["event_id"].encode()),
        ("ce_type", b"maskline.job.completed.v1"),
        ("ce_source", b"/maskline/mask-segmentation"),
        ("ce_time", b"2026-11-22T10:30:01.250Z"),
        ("ce_subject", COMPLETED["job_id"].encode()),
        ("content-type", b"application/json"),
    ]
    assert expected == cloud_event_headers(event, "mask-segmentation")


def test_event_without_job_has_no_subject() -> None:
    """An unreadable record names no job."""
    headers = dict(cloud_event_headers(StatusEvent.model_validate(UNREADABLE), "g"))
    assert "ce_subject" not in headers


def test_written_event_is_compact() -> None:
    """The example of docs/messages.md, byte for byte, in its order."""
    expected = json.dumps(COMPLETED, separators=(",", ":")).encode()
    assert expected == StatusEvent.model_validate(COMPLETED).write()


def test_code_of_ours_must_be_known() -> None:
    """Tolerance is for reading: what we write has a code of docs/messages.md."""
    with pytest.raises(ValidationError):
        ErrorInfo.model_validate({**ERROR, "code": "surprise"})


def test_error_can_always_be_written() -> None:
    """Messages come from anywhere: long ones are cut, half characters replaced."""
    error = ErrorInfo(
        code="internal_error", message="\ud800" + "x" * 2000, stage="fetch", retryable=False
    )
    assert error.message == "?" + "x" * 999


def test_not_a_number_is_never_written() -> None:
    """NaN would make the event unreadable."""
    timings: dict[str, Any] = {**COMPLETED["timings_ms"], "total": float("nan")}
    with pytest.raises(ValidationError):
        StatusEvent.model_validate({**COMPLETED, "timings_ms": timings})


@given(
    st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1)), st.integers(-12, 14)
)
def test_times_are_utc_milliseconds(moment: datetime, hours: int) -> None:
    """An event read back equals the one written, whatever the zone and the microseconds."""
    event = StatusEvent(
        event_id="e",
        state="processing",
        occurred_at=moment.replace(tzinfo=timezone(timedelta(hours=hours))),
        source=Source(topic="mask.jobs", partition=0, offset=0),
        worker="pod-0",
    )
    assert event == StatusEvent.read(event.write())
    assert event.occurred_at.tzinfo == UTC
    assert json.loads(event.write())["occurred_at"].endswith("Z")
