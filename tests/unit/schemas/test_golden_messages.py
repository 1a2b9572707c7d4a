"""Messages old and new, as files, read back."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from schemas.callback import CallbackReply
from schemas.control import Cancel, Resume
from schemas.dead_letter import HEADERS, DeadLetter, arrived_headers
from schemas.job import OUTPUTS, Batch, ImageReference, Job
from schemas.message import Message
from schemas.status import STATES, TERMINAL_STATES, StatusEvent

GOLDEN = Path(__file__).parents[2] / "contract" / "golden"
SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


def golden(name: str) -> bytes:
    """Give a golden message's bytes."""
    return (GOLDEN / f"{name}.json").read_bytes()


def golden_json(name: str) -> Any:
    """Give a golden message parsed."""
    return json.loads(golden(name))


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (Job, "job_full"),
        (Cancel, "cancel"),
        (Resume, "resume"),
        (CallbackReply, "callback_reply"),
        *((StatusEvent, f"status_{state}") for state in (*STATES, "unreadable")),
    ],
)
def test_what_we_write_is_what_was_read(model: type[Message], name: str) -> None:
    """A whole message survives reading and writing, value for value."""
    assert golden_json(name) == json.loads(model.read(golden(name)).write())


def test_smallest_job_gets_the_defaults() -> None:
    """What is absent is null, except for the provider and the metadata."""
    job = Job.read(golden("job_minimal"))
    absent = ("image_sha256", "model", "outputs", "batch", "callback_url", "replay_of")
    assert [getattr(job, name) for name in absent] == [None] * 6
    assert (job.provider, job.metadata, job.submitted_at) == ("qwen", {}, None)


def test_full_job_has_every_field() -> None:
    """Each field arrives as its own type."""
    job = Job.read(golden("job_full"))
    expected = ImageReference("uploads", "u-42/front view?%20.jpg", job.image.rpartition("=")[2])
    assert expected == job.image_reference
    assert job.outputs == OUTPUTS
    assert Batch(batch_id="b-7", index=0, size=12) == job.batch
    assert datetime(2026, 11, 22, 10, 30, tzinfo=UTC) == job.submitted_at
    assert golden_json("job_full")["metadata"] == job.metadata


def test_unknown_fields_of_a_job_are_ignored() -> None:
    """A newer producer may add fields, at every level."""
    job = Job.read(golden("job_unknown_fields"))
    assert {"priority", "trace"}.isdisjoint(json.loads(job.write()))
    assert Batch(batch_id="b-7", index=0, size=1) == job.batch


def test_old_job_is_read_with_its_habits() -> None:
    """Null for a default, a time without zone, capital hex and 2.0 for 2 are all understood."""
    job = Job.read(golden("job_old"))
    assert (job.provider, job.metadata, job.image_sha256) == ("qwen", {}, SHA256)
    assert datetime(2025, 3, 1, 9, 15, 0, 500_000, tzinfo=UTC) == job.submitted_at
    assert Batch(batch_id="b", index=0, size=2) == job.batch


@pytest.mark.parametrize("state", STATES)
def test_every_state_is_read(state: str) -> None:
    """A terminal state is known as such."""
    event = StatusEvent.read(golden(f"status_{state}"))
    assert state == event.state
    assert (state in ("completed", "failed", "cancelled")) == (event.state in TERMINAL_STATES)


def test_event_of_an_unreadable_record_names_no_user() -> None:
    """A record that can't be read still gets its terminal event."""
    event = StatusEvent.read(golden("status_unreadable"))
    assert (event.job_id, event.user_id, event.provider) == (None, None, None)
    assert event.error is not None
    assert event.error.code == "invalid_message"


def test_event_of_a_newer_version_still_ends_its_job() -> None:
    """An error code that this version doesn't know is an internal error to it."""
    event = StatusEvent.read(golden("status_newer"))
    assert event.error is not None
    assert (event.state, event.error.code) == ("failed", "internal_error")
    assert event.error.message == "a code that this version doesn't know"


def test_event_of_an_older_version_is_read() -> None:
    """Fields that came later are null."""
    event = StatusEvent.read(golden("status_older"))
    assert (event.attempt, event.timings_ms, event.replay_id) == (1, None, None)


def test_dead_letter_has_its_last_failure_and_gives_the_record_back() -> None:
    """Headers of an earlier life are the record's own."""
    headers = [(name, text and text.encode()) for name, text in golden_json("dead_letter_headers")]
    letter = DeadLetter.read(headers)
    assert (letter.topic, letter.partition, letter.offset) == ("mask.jobs", 0, 18)
    assert letter.error_code == "invalid_message"
    assert headers[:3] == arrived_headers(headers)
    assert headers[3:] == letter.write()
    assert tuple(name for name, _ in letter.write()) == HEADERS


def test_smallest_cancel_is_read() -> None:
    """A reason is not needed."""
    cancel = Cancel.read(golden("cancel_minimal"))
    assert (cancel.before_offset, cancel.reason) == (4711, None)


def test_reply_may_say_more() -> None:
    """The mask-asset service may add fields of its own."""
    files = ("upper_body_mask", "lower_body_mask")
    reply = CallbackReply.read_lenient(golden("callback_reply_unknown_fields"), files=files)
    assert set(files) == set(reply.stored_keys)
