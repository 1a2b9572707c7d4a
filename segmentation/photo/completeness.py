"""Pictures that decode without complaint although a part of them is missing.

A decoder fills what its data doesn't reach: libjpeg with grey, Pillow's PNG decoder with zeros. A
file that was merely cut is refused by Pillow; these are files that were closed again after the cut,
and PNGs with damaged data, whose checksums Pillow doesn't look at. The costly proofs are made only
where the picture ends as such a one would.
"""

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

from segmentation.deadline import Deadline
from segmentation.errors import InvalidImage

_GREY = 128  # every component of what libjpeg makes of missing data
_EIGHTH = (1, 1)  # asks `draft` for its smallest scale
_BITS = b"\x55" * 64  # some data that would show, were any missing
_PIECE = 1 << 16  # bytes inflated at a time
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by PNG's colour type
# Adam7: first column and row of each pass, and the steps to the next.
_PASSES = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)


def check_complete(photo: bytes, image: Image.Image, deadline: Deadline) -> None:
    """Return when the decoded `image` holds all that the file promised.

    Args:
        photo: The file.
        image: As Pillow loaded it, before any conversion; its format tells what to look for.
        deadline: Checked between pieces.

    Raises:
        InvalidImage: Data is missing or damaged.
        DeadlineExceeded: The time was over.
    """
    if image.format in ("JPEG", "MPO"):
        ends_grey = np.all(np.asarray(image.getpixel((image.width - 1, image.height - 1))) == _GREY)
        if ends_grey and _lacks_bits(photo):
            raise InvalidImage("The picture is cut: its data ends before its last row.")
    elif image.format == "PNG":
        header, pieces = _png_parts(photo)
        if not np.asarray(image.crop((0, image.height - 1, image.width, image.height))).any():
            _check_inflated(header, pieces, deadline)


def _lacks_bits(photo: bytes) -> bool:
    """Whether a JPEG's decoder had to invent data: bits put before the end then change the picture.

    A decoder that has all its data never reads them.
    """
    end = photo.rfind(b"\xff\xd9")
    longer = photo[:end] + _BITS + photo[end:]
    return _small(photo) != _small(longer)


def _small(photo: bytes) -> bytes:
    with Image.open(io.BytesIO(photo), formats=["JPEG"]) as image:
        image.draft(None, _EIGHTH)
        return image.tobytes()


def _png_parts(photo: bytes) -> tuple[bytes, list[memoryview]]:
    """A PNG's header and its compressed data, checksums verified."""
    header, data = b"", []
    for kind, content, checksum in _chunks(photo):
        if kind not in (b"IHDR", b"PLTE", b"IDAT"):
            continue
        if zlib.crc32(content, zlib.crc32(kind)) != checksum:
            raise InvalidImage(f"The picture is damaged: the checksum of {kind.decode()} is wrong.")
        if kind == b"IHDR":
            header = bytes(content)
        elif kind == b"IDAT":
            data.append(content)
    return header, data


def _chunks(photo: bytes) -> Iterator[tuple[bytes, memoryview, int]]:
    """Kind, content and checksum of every whole chunk up to the end's."""
    view, at, kind = memoryview(photo), 8, b""
    while at + 12 <= len(view) and kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", view, at)
        if at + 12 + length > len(view):
            return
        content = view[at + 8 : at + 8 + length]
        yield kind, content, struct.unpack_from(">I", view, at + 8 + length)[0]
        at += 12 + length


def _check_inflated(header: bytes, pieces: list[memoryview], deadline: Deadline) -> None:
    inflate, length, promised = zlib.decompressobj(), 0, _promised(header)
    for piece in pieces:
        rest: bytes | memoryview = piece
        while rest and length < promised:
            deadline.check()
            length += len(inflate.decompress(rest, _PIECE))
            rest = inflate.unconsumed_tail
    if length < promised:
        raise InvalidImage(f"The picture is cut: it has {length:,} bytes of {promised:,}.")


def _promised(header: bytes) -> int:
    """Bytes of all scan lines together, their filters' included."""
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    bits = depth * _CHANNELS[colour]
    total = 0
    for left, top, right, down in _PASSES if interlaced else ((0, 0, 1, 1),):
        columns, rows = -(-(width - left) // right), -(-(height - top) // down)
        total += rows * (1 + -(-columns * bits // 8)) if columns > 0 else 0
    return total
