"""Strips a JPEG of its APPn segments and comments, as far as the pixels don't need them.

Segments are found as libjpeg finds them: what stands between two is skipped, and a length that is
too small counts as 2.
"""

import re

from segmentation.deadline import Deadline
from segmentation.photo.stripped import StrippedFile

SCAN = b"\xff\xda"
"""Begins each scan."""

_MARKER = re.compile(rb"\xff[^\x00\xff]")
_MARKER_IN_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # other than stuffing and restarts
_START, _END, _SCAN = 0xD8, 0xD9, 0xDA
_BARE = frozenset({0x01, _START, *range(0xD0, 0xD8)})  # without a length
_APP0, _EXIF, _ADOBE, _LAST_APP, _COMMENT = 0xE0, 0xE1, 0xEE, 0xEF, 0xFE
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = (b"\xc2", b"\xc6", b"\xca", b"\xce")
_EXIF_BEGIN = b"Exif\x00"
_EXIF_HEADER = 6  # bytes before EXIF's data
# Both say which colours the components are. So they are kept, without all that may follow.
_JFIF = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
_JFIF_BYTES = 14  # libjpeg ignores a shorter one
_ADOBE_BYTES = 12


def strip_jpeg(photo: bytes, deadline: Deadline) -> StrippedFile:
    """Return the JPEG without metadata; unchanged if it has no scan.

    Raises:
        DeadlineExceeded: The time was over.
    """
    head = [photo[:2]]
    exif, frame, at = b"", b"", 2
    while (found := _MARKER.search(photo, at)) is not None:
        deadline.check()
        marker, begin, at = photo[found.end() - 1], found.start(), found.end()
        if marker == _SCAN:
            many = frame[1:2] in _PROGRESSIVE or photo[at + 2 : at + 3] != frame[9:10]
            return StrippedFile(b"".join((*head, memoryview(photo)[begin:])), exif, many)
        if marker in _BARE:
            continue
        if marker == _END:
            break
        at += max(2, int.from_bytes(photo[at : at + 2]))
        if marker in _FRAMES:
            frame = photo[begin : begin + 10]
        if _APP0 <= marker <= _LAST_APP or marker == _COMMENT:
            content = photo[begin + 4 : at]
            head.append(_needed(marker, content))
            if marker == _EXIF and not exif and content.startswith(_EXIF_BEGIN):
                exif = content[_EXIF_HEADER:]
        else:
            head.append(photo[begin:at])
    return StrippedFile(photo, exif)


def find_end(photo: bytes) -> int:
    """Return where the end marker of a JPEG's picture is; behind it there may be anything."""
    at = photo.find(SCAN)
    while (found := _MARKER_IN_SCAN.search(photo, at + 2)) is not None:
        at = found.start()
        if photo[at + 1] == _END:
            return at
        at += max(2, int.from_bytes(photo[at + 2 : at + 4]))
    return len(photo)


def _needed(marker: int, content: bytes) -> bytes:
    """Return what the decoder needs of an APPn segment or a comment."""
    if marker == _APP0 and content.startswith(b"JFIF\x00") and len(content) >= _JFIF_BYTES:
        return _JFIF
    if marker == _ADOBE and content.startswith(b"Adobe") and len(content) >= _ADOBE_BYTES:
        return b"\xff\xee\x00\x0e" + content[:_ADOBE_BYTES]
    return b""
