"""Strips a WebP of metadata, of unknown chunks, and of all frames but the first."""

import struct
from collections.abc import Iterator

from segmentation.deadline import Deadline
from segmentation.photo.stripped import StrippedFile

_HEADER = 12  # bytes before the first chunk
_METADATA_FLAGS = 0x20 | 0x08 | 0x04  # colour profile, EXIF, XMP
_PICTURES = (b"VP8 ", b"VP8L", b"ANMF")
_KEPT = (b"VP8X", b"ANIM", b"ALPH", *_PICTURES)
_EXIF_BEGIN = b"Exif\x00\x00"  # some writers put it before EXIF's data, as in a JPEG


def strip_webp(photo: bytes, deadline: Deadline) -> StrippedFile:
    """Return the WebP without metadata; unchanged if it has no complete picture.

    Raises:
        DeadlineExceeded: The time was over.
    """
    kept: dict[bytes, bytes] = {}
    exif, complete = b"", False
    for kind, content in _chunks(photo):
        deadline.check()
        if kind == b"EXIF":
            exif = exif or bytes(content).removeprefix(_EXIF_BEGIN)
        elif kind in _KEPT and not complete:
            kept.setdefault(kind, bytes(content))
            complete = kind in _PICTURES
    if not complete:
        return StrippedFile(photo)
    if extended := kept.get(b"VP8X"):
        kept[b"VP8X"] = bytes([extended[0] & ~_METADATA_FLAGS]) + extended[1:]
    chunks = b"".join(
        struct.pack("<4sI", kind, len(content)) + content + bytes(len(content) % 2)
        for kind, content in kept.items()
    )
    return StrippedFile(struct.pack("<4sI4s", b"RIFF", 4 + len(chunks), b"WEBP") + chunks, exif)


def _chunks(photo: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Yield kind and content of all complete chunks, whatever length the file claims to have."""
    view, at = memoryview(photo), _HEADER
    while at + 8 <= len(view):
        kind, length = struct.unpack_from("<4sI", view, at)
        if at + 8 + length > len(view):
            return
        yield kind, view[at + 8 : at + 8 + length]
        at += 8 + length + length % 2
