"""Record batches read within bounds: what can't be read is a record that says so, never an error.

A batch of ordinary size is handed on to aiokafka's own reader. A larger one, or one that aiokafka
can't read, is read here, record by record, out of a stream that is unpacked as it is read.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import structlog
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.legacy_records import LegacyRecordBatch

from consumer.kafka.record_stream import MAX_HEADERS, Parts, RecordStream
from consumer.kafka.unpacking import Unpackable, unpacked

log = structlog.get_logger()

QUICK_BYTES = 1024 * 1024
"""A batch that unpacks to no more is left to aiokafka: all in it can take 32 MiB at the most."""
_HEADER = struct.Struct(">qiibIhiqqqhii")
_ATTRIBUTES_OFFSET = 21
_LENGTH_OFFSET = 8
_LENGTH_END = 12
_MAGIC_OFFSET = 16
_LEGACY_ATTRIBUTES_OFFSET = 17
_CODEC_MASK = 0x07


@dataclass(frozen=True, slots=True)
class ReadRecord:
    """A record as aiokafka's own, and what of it couldn't be read."""

    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    unreadable: str
    value_bytes: int | None = None
    """Size of the value that was left out; None where it is there, or its size isn't known."""
    checksum: None = None


class RecordBatches:
    """The batches of one answer to a fetch, in place of aiokafka's `MemoryRecords`."""

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)
        self._next = 0
        self._end = 0
        self._find_next()

    def size_in_bytes(self) -> int:
        """Give the size of the whole answer."""
        return len(self._data)

    def has_next(self) -> bool:
        """Whether there is another batch; the broker may cut off the last one anywhere."""
        return self._end > self._next

    def next_batch(self) -> Any:
        """Give the next batch, in aiokafka's terms."""
        data = self._data[self._next : self._end]
        self._next = self._end
        self._find_next()
        if data[_MAGIC_OFFSET] >= 2:
            batch = DefaultRecordBatch(bytes(data))
            return batch if batch.is_control_batch else BoundedBatch(batch, data)
        if data[_LEGACY_ATTRIBUTES_OFFSET] & _CODEC_MASK:
            return PackedLegacyBatch(data)
        return LegacyRecordBatch(bytes(data), data[_MAGIC_OFFSET])

    def _find_next(self) -> None:
        rest = len(self._data) - self._next
        if rest < _LENGTH_END:
            return
        start = self._next + _LENGTH_OFFSET
        length = int.from_bytes(self._data[start : start + 4], "big", signed=True)
        if length <= _LEGACY_ATTRIBUTES_OFFSET - _LENGTH_END:
            raise CorruptRecordException(f"a batch of {length} bytes")
        if length <= rest - _LENGTH_END:
            self._end = self._next + _LENGTH_END + length


class BoundedBatch:
    """A batch of records, in place of aiokafka's, whose header it shows."""

    def __init__(self, batch: Any, data: memoryview) -> None:
        self._batch = batch
        self._data = data
        self.base_offset: int = batch.base_offset
        self.next_offset: int = batch.next_offset
        self.producer_id: int = batch.producer_id
        self.is_transactional: bool = batch.is_transactional
        self.is_control_batch = False
        self._count: int = _HEADER.unpack_from(data)[-1]

    def validate_crc(self) -> bool:
        """Whether the batch is as its producer made it."""
        valid: bool = self._batch.validate_crc()
        return valid

    def __iter__(self) -> Iterator[Any]:
        codec = self._batch.compression_type
        packed = self._data[_HEADER.size :]
        if not codec:
            if len(packed) <= QUICK_BYTES:
                yield from self._tolerantly(self._batch, packed)
            else:
                yield from self._slowly(iter([packed]))
            return
        pieces = unpacked(codec, packed)
        whole, more = _beginning(pieces)
        if more is None:
            plain = bytearray(self._data[: _HEADER.size])
            plain[_ATTRIBUTES_OFFSET + 1] &= ~_CODEC_MASK
            yield from self._tolerantly(DefaultRecordBatch(bytes(plain) + whole), memoryview(whole))
        else:
            yield from self._slowly(more)

    def _tolerantly(self, batch: Any, plain: memoryview) -> Iterator[Any]:
        """Read with aiokafka's reader as far as it can."""
        read, expected = 0, self.base_offset
        try:
            for record in batch:
                odd = len(record.headers) > MAX_HEADERS
                if odd or not self._is_next(record.offset, expected):
                    break
                yield record
                read, expected = read + 1, record.offset + 1
            else:
                return
        except Exception as error:
            log.debug("batch.read_slowly", reason=repr(error))
        yield from self._slowly(iter([plain]), skip=read)

    def _slowly(self, pieces: Iterator[bytes | memoryview], *, skip: int = 0) -> Iterator[Any]:
        """Read record by record; what can't be read has an offset of the batch, and a reason."""
        stream = RecordStream(pieces)
        last = _HEADER.unpack_from(self._data)[8]
        expected = self.base_offset
        try:
            for index in range(self._count):
                record = self._read(stream.next_record(), expected)
                expected = record.offset + 1
                if index >= skip and expected <= self.next_offset:
                    yield record
        except Unpackable as error:
            yield from _lost(expected, self.next_offset, last, f"its batch can't be read: {error}")

    def _read(self, parts: Parts, expected: int) -> ReadRecord:
        """Give the record its place and its time."""
        *_, first, last, _, _, _, _ = _HEADER.unpack_from(self._data)
        appended = bool(self._data[_ATTRIBUTES_OFFSET + 1] & 0x08)
        offset, unreadable = expected, parts.unreadable
        if parts.offset is not None:
            given = self.base_offset + parts.offset
            if self._is_next(given, expected):
                offset = given
            else:
                unreadable = f"it says that its offset is {given}, where {expected} comes next"
        return ReadRecord(
            offset=offset,
            timestamp=last if appended else first + parts.time,
            timestamp_type=int(appended),
            key=parts.key,
            value=parts.value,
            headers=parts.headers,
            unreadable=unreadable,
            value_bytes=parts.value_bytes,
        )

    def _is_next(self, offset: int, expected: int) -> bool:
        """Whether it can be the next record's offset: there are gaps only where one was removed.

        A broker doesn't look at the offsets in a batch, and one who commits a wrong one passes over
        all that lies before it.
        """
        if self._count == self.next_offset - self.base_offset:
            return offset == expected
        return expected <= offset < self.next_offset


class PackedLegacyBatch:
    """A compressed batch in a format that no broker has written since 2017: one unread record."""

    producer_id = None
    is_transactional = False
    is_control_batch = False

    def __init__(self, data: memoryview) -> None:
        self.base_offset = int.from_bytes(data[:8], "big", signed=True)
        self.next_offset = self.base_offset + 1

    def validate_crc(self) -> bool:
        """Nothing of it is read."""
        return True

    def __iter__(self) -> Iterator[ReadRecord]:
        reason = "its batch is compressed in a format of before Kafka 0.11"
        return _lost(self.base_offset, self.next_offset, -1, reason)


def _beginning(
    pieces: Iterator[bytes],
) -> tuple[bytes, Iterator[bytes] | None]:
    """Give all that was unpacked, or a stream of it where that is too much to hold."""
    held: list[bytes] = []
    size = 0
    try:
        for piece in pieces:
            held.append(piece)
            size += len(piece)
            if size > QUICK_BYTES:
                return b"", _joined(held, pieces)
    except Unpackable as error:
        return b"", _joined(held, _failing(error))
    return b"".join(held), None


def _joined(held: list[bytes], pieces: Iterator[bytes]) -> Iterator[bytes]:
    while held:
        yield held.pop(0)
    yield from pieces


def _failing(error: Unpackable) -> Iterator[bytes]:
    raise error
    yield


def _lost(first: int, end: int, timestamp: int, reason: str) -> Iterator[ReadRecord]:
    for offset in range(first, end):
        yield ReadRecord(offset, timestamp, 0, None, None, [], reason)
