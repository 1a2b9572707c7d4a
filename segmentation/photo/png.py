"""Strips a PNG of its ancillary chunks, as far as the pixels don't need them.

As in libpng, an ancillary chunk with a wrong checksum or length counts as none.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from segmentation.deadline import Deadline
from segmentation.photo.stripped import StrippedFile

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"
_PALETTE = 3  # the colour type whose pixels need PLTE
_COLOUR_TYPE = 9  # its place in IHDR
# Bytes of tRNS by colour type; with a palette, one for each of its colours at most.
_TRANSPARENCY = {0: 2, 2: 6}
_EXIF_BEGIN = b"Exif\x00\x00"  # some writers put it before EXIF's data, as in a JPEG


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk of a PNG."""

    kind: bytes
    content: memoryview
    whole: memoryview
    """With its length, kind and checksum."""

    def is_intact(self) -> bool:
        """Return whether the checksum is right."""
        checksum = zlib.crc32(self.content, zlib.crc32(self.kind))
        return self.whole[-4:] == checksum.to_bytes(4)


def read_chunks(photo: bytes) -> Iterator[Chunk]:
    """Yield all complete chunks before the end chunk, and that one."""
    view, at, kind = memoryview(photo), len(SIGNATURE), b""
    while at + 12 <= len(view) and kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", view, at)
        end = at + 12 + length
        if end > len(view):
            return
        yield Chunk(kind, view[at + 8 : end - 4], view[at:end])
        at = end


def strip_png(photo: bytes, deadline: Deadline) -> StrippedFile:
    """Return the PNG without metadata; unchanged if a part is missing that the pixels need.

    Raises:
        DeadlineExceeded: The time was over.
    """
    head: dict[bytes, Chunk] = {}
    data: list[memoryview] = []
    exif, at = b"", len(SIGNATURE)
    for chunk in read_chunks(photo):
        deadline.check()
        at += len(chunk.whole)
        if chunk.kind == b"IDAT":
            data.append(chunk.whole)
        elif chunk.kind == b"eXIf":
            exif = exif or _exif(chunk)
        elif not data:
            head.setdefault(chunk.kind, chunk)
    header = head.get(b"IHDR")
    if header is None or len(header.content) <= _COLOUR_TYPE or not data:
        return StrippedFile(photo, exif)
    rest = memoryview(photo)[at:]
    cut = bytes(rest[4:8]) == b"IDAT"  # then the decoder says so
    parts = (SIGNATURE, header.whole, *_colours(head, header), *data, rest if cut else _END)
    return StrippedFile(b"".join(parts), exif)


def _colours(head: dict[bytes, Chunk], header: Chunk) -> Iterator[memoryview]:
    """Yield the palette and the transparency, where the pixels need them."""
    colour_type = header.content[_COLOUR_TYPE]
    most = _TRANSPARENCY.get(colour_type, 0)
    if colour_type == _PALETTE and (palette := head.get(b"PLTE")):
        yield palette.whole
        most = len(palette.content) // 3
    transparency = head.get(b"tRNS")
    if transparency is None or not transparency.is_intact():
        return
    length = len(transparency.content)
    if length == most or (colour_type == _PALETTE and 0 < length <= most):
        yield transparency.whole


def _exif(chunk: Chunk) -> bytes:
    return bytes(chunk.content).removeprefix(_EXIF_BEGIN) if chunk.is_intact() else b""
