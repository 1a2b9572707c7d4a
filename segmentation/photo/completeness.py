"""Detects incomplete pictures that decode without an error.

Decoders fill missing data: libjpeg with grey, Pillow's PNG decoder with zeros. Pillow itself
refuses a file that was cut. It accepts a file that was cut and then given a valid end, and a PNG
with damaged data, because it doesn't verify the checksums. The expensive checks run only if the
picture ends in such a fill colour.
"""

import struct
import zlib
from dataclasses import replace

import numpy as np
from PIL import Image

from segmentation.deadline import Deadline
from segmentation.errors import InvalidImage
from segmentation.photo.jpeg import find_end
from segmentation.photo.png import read_chunks
from segmentation.photo.stripped import StrippedFile
from segmentation.photo.timed_file import TimedFile

_GREY = 128  # libjpeg's value for missing data, in every component
_SMALLEST = (1, 1)  # makes `draft` choose its smallest scale, an eighth
_EXTRA = b"\x55" * 64  # changes the picture if the decoder runs out of data
_PIECE = 1 << 16  # bytes to inflate at a time
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # number by PNG's colour type
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


def check_complete(photo: StrippedFile, image: Image.Image, deadline: Deadline) -> None:
    """Check that the decoded `image` has all the data that the file's header announces.

    Args:
        photo: The file.
        image: As Pillow loaded it, before any conversion.
        deadline: Checked between pieces.

    Raises:
        InvalidImage: Data is missing or damaged.
        DeadlineExceeded: The time was over.
    """
    if image.format == "JPEG":
        ends_grey = np.all(np.asarray(image.getpixel((image.width - 1, image.height - 1))) == _GREY)
        if ends_grey and _is_cut_jpeg(photo, deadline):
            raise InvalidImage("The picture is cut: its data ends before its last row.")
    elif image.format == "PNG":
        header, pieces = _png_parts(photo.file, deadline)
        if not np.asarray(image.crop((0, image.height - 1, image.width, image.height))).any():
            _check_inflated(header, pieces, deadline)


def _is_cut_jpeg(photo: StrippedFile, deadline: Deadline) -> bool:
    """Return whether the data of a JPEG ends too early.

    Extra data before the end marker then changes the picture. Otherwise it is never read.
    """
    end = find_end(photo.file)
    longer = photo.file[:end] + _EXTRA + photo.file[end:]
    return _small(photo, deadline) != _small(replace(photo, file=longer), deadline)


def _small(photo: StrippedFile, deadline: Deadline) -> bytes:
    with Image.open(TimedFile(photo, deadline), formats=["JPEG"]) as image:
        image.draft(None, _SMALLEST)
        return image.tobytes()


def _png_parts(photo: bytes, deadline: Deadline) -> tuple[bytes, list[memoryview]]:
    """Return a PNG's header and its compressed data, after their checksums were verified."""
    header, data = b"", []
    for chunk in read_chunks(photo):
        deadline.check()
        if chunk.kind in (b"IHDR", b"PLTE", b"IDAT") and not chunk.is_intact():
            name = chunk.kind.decode()
            raise InvalidImage(f"The picture is damaged: the checksum of {name} is wrong.")
        if chunk.kind == b"IHDR":
            header = bytes(chunk.content)
        elif chunk.kind == b"IDAT":
            data.append(chunk.content)
    return header, data


def _check_inflated(header: bytes, pieces: list[memoryview], deadline: Deadline) -> None:
    inflate, length, announced = zlib.decompressobj(), 0, _announced_bytes(header)
    for piece in pieces:
        rest: bytes | memoryview = piece
        while rest and length < announced:
            deadline.check()
            length += len(inflate.decompress(rest, _PIECE))
            rest = inflate.unconsumed_tail
    if length < announced:
        raise InvalidImage(f"The picture is cut: it has {length:,} bytes of {announced:,}.")


def _announced_bytes(header: bytes) -> int:
    """Return the number of bytes of all scan lines, including the filter bytes."""
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    bits = depth * _CHANNELS[colour]
    total = 0
    for left, top, right, down in _PASSES if interlaced else ((0, 0, 1, 1),):
        columns, rows = -(-(width - left) // right), -(-(height - top) // down)
        total += rows * (1 + -(-columns * bits // 8)) if columns > 0 else 0
    return total
