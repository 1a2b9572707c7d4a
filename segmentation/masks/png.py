"""Masks, mattes and cutouts as PNG, written here because no library takes the fast way.

Pillow weighs five filters for every row, which doubles the time of a mask and wins nothing on one.
What is chosen here, and what it was measured against, is in docs/adr/0010-png-encoding.md.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from segmentation.deadline import Deadline

Pixels = npt.NDArray[np.uint8]
"""(height, width) of grey, or (height, width, 4) of RGBA, 8-bit."""

_LEVEL = 1
_MEMORY = 9  # zlib's largest hash: a little faster and smaller at every level
_BAND = 1 << 20  # bytes filtered and deflated at a time: small sufficient_size for a core's cache
_GREY, _RGBA = 0, 6  # PNG's colour types
_NONE, _UP = 0, 2  # PNG's filters


@dataclass(frozen=True, slots=True)
class _Encoding:
    """How the rows of one kind of picture are filtered and deflated."""

    colour: int
    channels: int
    filter: int
    strategy: int


_FLAT = _Encoding(_GREY, 1, _NONE, zlib.Z_RLE)
_SOFT = _Encoding(_GREY, 1, _UP, zlib.Z_RLE)
_PHOTO = _Encoding(_RGBA, 4, _UP, zlib.Z_DEFAULT_STRATEGY)


def encode_flat(mask: Pixels, deadline: Deadline) -> bytes:
    """A grey PNG of areas of one value each: a binary mask or a map of class ids.

    Raises:
        DeadlineExceeded: Between two bands of rows.
    """
    height, width = mask.shape
    bands = (mask[rows] for rows in _bands(width, height))
    return _encode(bands, (width, height), _FLAT, deadline)


def encode_matte(matte: Pixels, deadline: Deadline) -> bytes:
    """A grey PNG of values that change smoothly.

    Raises:
        DeadlineExceeded: Between two bands of rows.
    """
    height, width = matte.shape
    bands = (matte[rows] for rows in _bands(width, height))
    return _encode(bands, (width, height), _SOFT, deadline)


def encode_cutout(picture: Image.Image, matte: Pixels, deadline: Deadline) -> bytes:
    """An RGBA PNG: the picture with the matte as its alpha; black where that is 0.

    Args:
        picture: RGB, of the matte's size.
        matte: (height, width); 0 is background, which leaves no trace in the file.
        deadline: Checked between two bands of rows.

    Raises:
        DeadlineExceeded: Between two bands of rows.
    """
    width, height = picture.size

    def band(rows: slice) -> Pixels:
        layer = picture.crop((0, rows.start, width, rows.stop))
        layer.putalpha(Image.fromarray(matte[rows]))
        whole = np.frombuffer(layer.tobytes(), np.uint32).reshape(-1, width)  # a pixel a number
        return (whole * (matte[rows] > 0)).view(np.uint8)

    bands = (band(rows) for rows in _bands(width * _PHOTO.channels, height))
    return _encode(bands, (width, height), _PHOTO, deadline)


def _bands(row: int, height: int) -> Iterator[slice]:
    step = max(1, _BAND // row)
    return (slice(top, min(top + step, height)) for top in range(0, height, step))


def _encode(
    bands: Iterable[Pixels], size: tuple[int, int], way: _Encoding, deadline: Deadline
) -> bytes:
    deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, zlib.MAX_WBITS, _MEMORY, way.strategy)
    parts = []
    above = np.zeros(size[0] * way.channels, np.uint8)
    for band in bands:
        deadline.check()
        rows = band.reshape(len(band), -1)
        parts.append(deflate.compress(_filtered(rows, above, way.filter).data))
        above = rows[-1]
    parts.append(deflate.flush())
    header = struct.pack(">IIBBBBB", *size, 8, way.colour, 0, 0, 0)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", header),
            _chunk(b"IDAT", b"".join(parts)),
            _chunk(b"IEND", b""),
        )
    )


def _filtered(rows: Pixels, above: Pixels, kind: int) -> Pixels:
    """PNG's scan lines: each row with its filter's number before it."""
    lines = np.empty((rows.shape[0], rows.shape[1] + 1), np.uint8)
    lines[:, 0] = kind
    if kind == _NONE:
        lines[:, 1:] = rows
    else:
        np.subtract(rows[0], above, out=lines[0, 1:])
        np.subtract(rows[1:], rows[:-1], out=lines[1:, 1:])
    return lines


def _chunk(kind: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(content, zlib.crc32(kind)))
    )
