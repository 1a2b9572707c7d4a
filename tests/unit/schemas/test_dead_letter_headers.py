"""The headers that a job record gets when it is put aside."""

from datetime import UTC, datetime

import jsonschema
import pytest

from schemas.dead_letter import (
    EXCEPTION_MESSAGE,
    OFFSET,
    DeadLetter,
    Headers,
    arrived_headers,
    dead_letter_headers,
)
from schemas.errors import InvalidMessage
from schemas.examples import DEAD_LETTER
from schemas.json_schema import MESSAGES, message_schema
from schemas.status import ErrorInfo, Source

EXAMPLE: Headers = [(name, text.encode()) for name, text in DEAD_LETTER.items()]


def put_aside(arrived: Headers, message: str = "Job: user_id: Field required") -> Headers:
    """Put aside the record of the example in docs/messages.md."""
    return dead_letter_headers(
        arrived,
        source=Source(topic="mask.jobs", partition=0, offset=18),
        error=ErrorInfo(code="invalid_message", message=message, stage="read", retryable=False),
        exception="schemas.errors.InvalidMessage",
        failed_at=datetime(2026, 11, 22, 10, 30, 1, 300_000, tzinfo=UTC),
    )


def test_own_headers_follow_those_that_arrived() -> None:
    """Doubles and null values of the record stay as they are, first."""
    arrived: Headers = [("a", b"\xff"), ("a", None), ("traceparent", b"00-x")]
    assert [*arrived, *EXAMPLE] == put_aside(arrived)


def test_the_headers_of_the_second_failure_come_last() -> None:
    """A redriven dead letter that dies again has the headers of the last time alone."""
    twice = put_aside(put_aside([("a", b"1")], "first"), "second")
    assert DeadLetter.read(twice).exception_message == "second"
    assert put_aside([("a", b"1")], "first") == arrived_headers(twice)


def test_message_is_cut_to_a_thousand_characters() -> None:
    """Characters, not bytes: the room of 64 KiB is enough for any of them."""
    headers = dict(put_aside([], "😀" * 2000))
    assert (headers[EXCEPTION_MESSAGE] or b"").decode() == "😀" * 1000


def test_written_headers_please_their_json_schema() -> None:
    """The schema describes header texts, not numbers."""
    texts = {name: (value or b"").decode() for name, value in put_aside([])}
    jsonschema.Draft202012Validator(message_schema(MESSAGES[2])).validate(texts)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        EXAMPLE[1:],
        [*EXAMPLE, (OFFSET, b"x")],
        [*EXAMPLE, (OFFSET, b"-1")],
        [*EXAMPLE, (OFFSET, b"\xff")],
    ],
)
def test_other_headers_are_no_dead_letter(headers: Headers) -> None:
    """Anyone may write to the topic."""
    with pytest.raises(InvalidMessage):
        DeadLetter.read(headers)


def test_record_without_our_headers_has_no_arrived_ones() -> None:
    """A record that was never put aside can't be given back."""
    with pytest.raises(InvalidMessage):
        arrived_headers([("a", b"1"), *EXAMPLE[:-1]])
