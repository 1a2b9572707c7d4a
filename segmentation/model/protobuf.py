"""Reads the fields of protobuf messages in a file. Contents are skipped until they are read."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # protobuf's wire types


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a file: a message, or the contents of a field."""

    begin: int
    end: int

    def read(self, file: BinaryIO) -> bytes:
        """Return the bytes of this part."""
        file.seek(self.begin)
        return file.read(self.end - self.begin)


def whole(file: BinaryIO) -> Span:
    """Return the whole file as one part."""
    return Span(0, file.seek(0, 2))


def read_fields(file: BinaryIO, message: Span) -> Iterator[tuple[int, int | Span]]:
    """Yield each field's number, and its value or its contents. The caller may move the file.

    Raises:
        ValueError: It isn't a protobuf message.
    """
    position = message.begin
    while position < message.end:
        file.seek(position)
        tag = _varint(file)
        number, wire = tag >> 3, tag & 7
        value: int | Span = 0
        if wire == _VARINT:
            value = _varint(file)
        elif wire in (_FIXED64, _FIXED32):
            file.seek(8 if wire == _FIXED64 else 4, 1)
        elif wire == _BYTES:
            length = _varint(file)
            value = Span(file.tell(), file.tell() + length)
            file.seek(length, 1)
        else:
            raise ValueError(f"wire type {wire}")
        position = file.tell()
        if position > message.end:
            raise ValueError("a field is longer than its message")
        yield number, value


def _varint(file: BinaryIO) -> int:
    value = shift = 0
    while byte := file.read(1):
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
        shift += 7
        if shift > 63:
            break
    raise ValueError("no number of protobuf")
