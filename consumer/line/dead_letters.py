"""Dead letters as they are written: the record as it arrived, without what doesn't fit its topic.

The record itself is still where the headers say.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from aiokafka.codec import gzip_encode

from consumer.job.outcome import Failure
from consumer.job.record import Header, Record
from consumer.kafka.sizes import batch_bytes
from schemas.dead_letter import UNREADABLE, dead_letter_headers

TRIED_TIMES = 8
"""A letter so many times as large as its topic takes isn't compressed to see whether it fits."""
_ROOM_BYTES = 1024
"""What a batch has besides the parts of its record."""


@dataclass(frozen=True, slots=True)
class Letter:
    """The parts of a dead letter."""

    key: bytes | None
    value: bytes | None
    headers: list[Header]

    @property
    def size(self) -> int:
        """Bytes of its batch at the most, without the good of compression."""
        return batch_bytes(self.key, self.value, self.headers)


async def letter_that_fits(record: Record, failure: Failure, *, limit: int) -> Letter:
    """Give the fullest letter whose batch, compressed by gzip, has at most `limit` bytes."""
    letters = _letters(record, failure, datetime.now(UTC))
    letter = next(letters)
    while not await _fits(letter, limit):
        fallback = next(letters, None)
        if fallback is None:
            break
        letter = fallback
    return letter


def _letters(record: Record, failure: Failure, failed_at: datetime) -> Iterator[Letter]:
    """Give the letter as it should be, then with less and less of what arrived."""
    full = _omitted(record)
    bare = full or _size(record.value)
    yield _letter(record, failure, failed_at, omitted=full, value=record.value)
    yield _letter(record, failure, failed_at, omitted=bare)
    yield _letter(record, failure, failed_at, omitted=bare, headers=False)
    yield _letter(record, failure, failed_at, omitted=bare, headers=False, key=False)


def _letter(
    record: Record,
    failure: Failure,
    failed_at: datetime,
    *,
    omitted: str | None,
    value: bytes | None = None,
    headers: bool = True,
    key: bool = True,
) -> Letter:
    return Letter(
        record.key if key else None,
        value,
        dead_letter_headers(
            record.headers if headers else (),
            source=record.source,
            error=failure.error,
            exception=failure.exception,
            failed_at=failed_at,
            value_omitted=omitted,
        ),
    )


def _omitted(record: Record) -> str | None:
    """Say what is missing already of a record that couldn't be read."""
    if record.value_bytes is not None:
        return str(record.value_bytes)
    return UNREADABLE if record.unreadable and record.value is None else None


def _size(value: bytes | None) -> str | None:
    return None if value is None else str(len(value))


async def _fits(letter: Letter, limit: int) -> bool:
    size = letter.size
    if size <= limit:
        return True
    if size > TRIED_TIMES * limit:
        return False
    parts = [letter.key or b"", letter.value or b""]
    for name, value in letter.headers:
        parts += [name.encode(), value or b""]
    return len(await asyncio.to_thread(gzip_encode, b"".join(parts))) + _ROOM_BYTES <= limit
