"""Records out of a stream of bytes: none is held whole that is larger than it may be."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from consumer.kafka.unpacking import Unpackable

MAX_RECORD_BYTES = 16 * 1024 * 1024
MAX_SIDE_BYTES = 1024 * 1024
"""What is kept of the key, and of the headers, of a record that is too large itself."""
MAX_HEADERS = 10_000
"""An empty header takes two bytes in a batch and sixty here."""
MAX_STREAM_BYTES = 1024 * 1024 * 1024
"""What is unpacked of one batch at the most: a matter of a second."""

Headers = list[tuple[str, bytes | None]]


@dataclass(slots=True)
class Parts:
    """What a batch says of one record."""

    offset: int | None = None
    """Counted from the batch's first; None where it can't be read."""
    time: int = 0
    key: bytes | None = None
    value: bytes | None = None
    headers: Headers = field(default_factory=list)
    unreadable: str = ""
    value_bytes: int | None = None


class RecordStream:
    """Reads one record after another."""

    def __init__(self, pieces: Iterator[bytes | memoryview]) -> None:
        self._pieces = pieces
        self._piece = memoryview(b"")
        self._read = 0

    def next_record(self) -> Parts:
        """Give the next record.

        Raises:
            Unpackable: nothing more can be had from this stream.
        """
        length = self._varint()
        if length < 0:
            raise Unpackable(f"a record of {length} bytes")
        if length <= MAX_RECORD_BYTES:
            return _parsed(self._take(length))
        return self._too_large(length)

    def _too_large(self, length: int) -> Parts:
        """Give what surrounds the value, which is passed over."""
        end = self._read + length
        parts = Parts(unreadable=f"it has {length} bytes, more than {MAX_RECORD_BYTES}")
        self._take(1)
        parts.time = self._varint()
        parts.offset = self._varint()
        parts.key = self._side(min(self._varint(), end - self._read))
        parts.value_bytes = max(0, min(self._varint(), end - self._read))
        self._skip(parts.value_bytes)
        headers = self._side(end - self._read)
        if headers is not None:
            with contextlib.suppress(ValueError, IndexError):
                parts.headers, _ = _headers(_Fields(headers))
        return parts

    def _side(self, size: int) -> bytes | None:
        """Give a key, or the headers, unless that is so large that it is passed over."""
        if 0 <= size <= MAX_SIDE_BYTES:
            return bytes(self._take(size))
        self._skip(size)
        return None

    def _varint(self) -> int:
        result = shift = 0
        while True:
            byte = self._take(1)[0]
            result |= (byte & 0x7F) << shift
            if not byte & 0x80:
                return (result >> 1) ^ -(result & 1)
            shift += 7
            if shift > 63:
                raise Unpackable("a number has no end")

    def _take(self, size: int) -> bytes | bytearray:
        if size <= len(self._piece):
            taken = bytes(self._piece[:size])
            self._piece = self._piece[size:]
            self._read += size
            return taken
        gathered = bytearray()
        for chunk in self._chunks(size):
            gathered += chunk
        return gathered

    def _skip(self, size: int) -> None:
        for _ in self._chunks(size):
            pass

    def _chunks(self, size: int) -> Iterator[memoryview]:
        self._read += max(size, 0)
        if self._read > MAX_STREAM_BYTES:
            raise Unpackable(f"it unpacks to more than {MAX_STREAM_BYTES} bytes")
        while size > 0:
            if not self._piece:
                self._piece = memoryview(next(self._pieces, b""))
                if not self._piece:
                    raise Unpackable("it ends in the middle of a record")
            chunk = self._piece[:size]
            self._piece = self._piece[len(chunk) :]
            size -= len(chunk)
            yield chunk


class _Fields:
    """The fields of one record that is held whole."""

    def __init__(self, data: bytes | bytearray) -> None:
        self._data = memoryview(data)
        self._at = 0

    def number(self) -> int:
        result = shift = 0
        while True:
            byte = self._data[self._at]
            self._at += 1
            result |= (byte & 0x7F) << shift
            if not byte & 0x80:
                return (result >> 1) ^ -(result & 1)
            shift += 7
            if shift > 63:
                raise ValueError("a number has no end")

    def text(self) -> bytes | None:
        size = self.number()
        if size < 0:
            return None
        end = self._at + size
        if end > len(self._data):
            raise ValueError("a field is longer than its record")
        found = bytes(self._data[self._at : end])
        self._at = end
        return found

    def skip(self, size: int) -> None:
        self._at += size

    def finished(self) -> bool:
        return self._at == len(self._data)


def _parsed(data: bytes | bytearray) -> Parts:
    """Read one record; where it can't be read, say why and keep what came before."""
    parts = Parts()
    fields = _Fields(data)
    try:
        fields.skip(1)
        parts.time = fields.number()
        parts.offset = fields.number()
        parts.key = fields.text()
        parts.value = fields.text()
        parts.headers, odd = _headers(fields)
        if odd:
            parts.unreadable = f"a header's name is no UTF-8: {odd!r}"
        elif not fields.finished():
            parts.unreadable = "it is longer than what is in it"
    except (ValueError, IndexError) as error:
        parts.unreadable = f"it can't be read: {error}"
    return parts


def _headers(fields: _Fields) -> tuple[Headers, bytes]:
    """Give the headers that can be read, and the first name that can't."""
    headers: Headers = []
    odd = b""
    count = fields.number()
    if count > MAX_HEADERS:
        raise ValueError(f"it has {count} headers, more than {MAX_HEADERS}")
    for _ in range(count):
        name, value = fields.text() or b"", fields.text()
        try:
            headers.append((name.decode(), value))
        except UnicodeDecodeError:
            odd = odd or name[:64]
    return headers, odd
