"""The upload's names, its answer, and the topics."""

import pytest

from schemas.callback import CallbackReply, file_name, idempotency_key
from schemas.control import Cancel
from schemas.errors import InvalidMessage
from schemas.topics import topic_specs


def test_idempotency_key_names_the_record() -> None:
    """Retries share it; a replay run has its own."""
    assert idempotency_key("j", "mask.jobs", 0, 17) == "j/mask.jobs/0/17"
    assert idempotency_key("j", "mask.jobs", 0, 17, "r1") == "r1/j/mask.jobs/0/17"


def test_file_is_named_after_its_output() -> None:
    """As the mask-asset service knows it."""
    assert file_name("seg_map") == "seg_map.png"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b'{"status":"success"}',
        b'{"status":"error","stored_keys":{}}',
        b'{"status":"success","stored_keys":["k"]}',
        b'{"status":"success","stored_keys":{"upper_body_mask":null}}',
    ],
)
def test_any_other_answer_is_no_success(body: bytes) -> None:
    """A 200 alone is no proof that the masks are stored."""
    with pytest.raises(InvalidMessage, match="CallbackReply"):
        CallbackReply.read_lenient(body, files=("upper_body_mask",))


@pytest.mark.parametrize(
    "value",
    [
        None,
        b'{"job_id":"j","before_offset":-1,"requested_at":"2026-11-22T10:31:00Z"}',
        b'{"job_id":"j","before_offset":"9","requested_at":"2026-11-22T10:31:00Z"}',
        b'{"job_id":"j/k","before_offset":9,"requested_at":"2026-11-22T10:31:00Z"}',
        b'{"job_id":"j","before_offset":9}',
    ],
)
def test_cancel_must_say_which_records(value: bytes | None) -> None:
    """A cancel that could hit others is none."""
    with pytest.raises(InvalidMessage, match="Cancel"):
        Cancel.read(value)


def test_topics_are_those_of_the_docs() -> None:
    """Names, partitions, cleanup and retention."""
    day = 86_400_000
    expected = [
        ("mask.jobs", 1, "delete", 7 * day),
        ("mask.status", 1, "delete", 7 * day),
        ("mask.jobs.dlq", 1, "delete", 30 * day),
        ("mask.control", 1, "compact,delete", 7 * day),
    ]
    specs = topic_specs()
    assert expected == [(s.name, s.partitions, s.cleanup_policy, s.retention_ms) for s in specs]


def test_dead_letters_have_room_for_their_headers() -> None:
    """64 KiB more than the jobs topic takes."""
    (dead_letter,) = (
        spec for spec in topic_specs(jobs_max_message_bytes=2_000_000) if spec.role == "dead_letter"
    )
    assert dead_letter.config["max.message.bytes"] == "2065536"
