"""Events and dead letters are made to fit their topics, and lose no more than they must."""

import random
from typing import Any

import pytest
from aiokafka.codec import gzip_encode

from consumer.job.events import message, status_event
from consumer.job.outcome import Failure
from consumer.job.record import Record
from consumer.kafka.sizes import batch_bytes
from consumer.line.dead_letters import letter_that_fits
from schemas.dead_letter import DeadLetter, arrived_headers
from schemas.status import ErrorInfo, Result, StatusEvent

LIMIT = 1_048_588
NOISE = random.Random(1).randbytes(LIMIT)
INFO = ErrorInfo(code="invalid_message", message="😀" * 1000, stage="intake", retryable=False)
FAILURE = Failure(INFO, "schemas.errors.InvalidMessage")


def record(key: bytes | None = b"k", value: bytes | None = b"v", **more: Any) -> Record:
    """Give a record with a header."""
    return Record("mask.jobs", 0, 7, 0, key, value, [("h", b"1")], **more)


def failed(key: bytes, limit: int) -> dict[str, Any]:
    """Give the message of a failed event about a record of this key."""
    one = record(key)
    event = status_event(one, "failed", job=None, error=INFO)
    return message(event, one, group="g", limit=limit)


def test_an_event_that_fits_is_left_as_it_is() -> None:
    """A key of 900 KB fits, so it stays."""
    sent = failed(NOISE[:900_000], LIMIT)
    assert sent["key"] == NOISE[:900_000]


def test_a_key_that_gzip_makes_longer_is_left_out_in_time() -> None:
    """Noise just below the limit would be above it once it is compressed."""
    for size in range(LIMIT - 3000, LIMIT, 250):
        sent = failed(NOISE[:size], LIMIT)
        parts = (sent["key"] or b"", sent["value"], *dict(sent["headers"]).values())
        assert len(gzip_encode(b"".join(parts))) + 200 < LIMIT


def test_a_key_that_is_too_long_is_left_out() -> None:
    """And nothing else."""
    sent = failed(NOISE, LIMIT)
    assert sent["key"] is None
    assert StatusEvent.read(sent["value"]).error == INFO


@pytest.mark.parametrize("limit", [4000, 1500])
def test_long_texts_are_cut_where_that_is_not_enough(limit: int) -> None:
    """The topic may take very little."""
    sent = failed(b"k" * 5000, limit)
    assert batch_bytes(None, sent["value"], sent["headers"]) <= limit
    told = StatusEvent.read(sent["value"]).error
    assert told is not None
    assert INFO.message.startswith(told.message)


def test_long_places_of_masks_are_cut_too() -> None:
    """Rather than that the job never ends."""
    keys = dict.fromkeys(("upper_body_mask", "lower_body_mask"), "x" * 4096)
    result = Result(stored_keys=keys, width=1, height=1)
    event = status_event(record(), "completed", job=None, result=result)
    sent = message(event, record(), group="g", limit=3000)
    assert batch_bytes(sent["key"], sent["value"], sent["headers"]) <= 3000


async def test_a_dead_letter_that_fits_is_the_record_as_it_arrived() -> None:
    """Four megabytes that gzip makes small do."""
    one = record(value=b"x" * (4 * LIMIT))
    letter = await letter_that_fits(one, FAILURE, limit=LIMIT)
    assert (letter.key, letter.value) == (one.key, one.value)
    assert arrived_headers(letter.headers) == one.headers
    assert DeadLetter.read(letter.headers).value_omitted is None


async def test_a_value_that_does_not_fit_is_left_out_and_its_size_told() -> None:
    """Key and headers stay."""
    letter = await letter_that_fits(record(value=NOISE * 2), FAILURE, limit=LIMIT)
    assert (letter.key, letter.value) == (b"k", None)
    assert arrived_headers(letter.headers) == [("h", b"1")]
    assert DeadLetter.read(letter.headers).value_omitted == str(2 * LIMIT)


async def test_headers_and_then_the_key_go_where_that_is_not_enough() -> None:
    """Why it failed always fits."""
    wide = Record("mask.jobs", 0, 7, 0, b"k", b"v", [("h", NOISE)])
    letter = await letter_that_fits(wide, FAILURE, limit=LIMIT)
    assert (letter.key, arrived_headers(letter.headers)) == (b"k", [])
    letter = await letter_that_fits(record(key=NOISE), FAILURE, limit=LIMIT)
    assert (letter.key, arrived_headers(letter.headers)) == (None, [])
    assert DeadLetter.read(letter.headers).value_omitted == "1"


async def test_a_huge_value_is_not_even_compressed() -> None:
    """It would take longer than a transaction may."""
    one = record(value=bytes(9 * LIMIT))
    letter = await letter_that_fits(one, FAILURE, limit=LIMIT)
    assert letter.value is None


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (record(value=None, unreadable="bomb", value_bytes=700), "700"),
        (record(key=None, value=None, unreadable="its batch"), "unreadable"),
        (record(unreadable="a header's name"), None),
        (record(value=None), None),
    ],
)
async def test_what_could_not_be_read_is_told(one: Record, said: str | None) -> None:
    """A tombstone has no value to leave out."""
    letter = await letter_that_fits(one, FAILURE, limit=LIMIT)
    assert DeadLetter.read(letter.headers).value_omitted == said
