"""Encodes masks, mattes and cutouts as PNG, faster than Pillow.

Pillow tries five filters for every row. For a mask that takes twice the time and makes the file no
smaller. docs/adr/0010-png-encoding.md explains the choices made here, with measurements.
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
_MEMORY = 9  # zlib's largest hash table: slightly faster and smaller at every level
_BAND = 1 << 20  # bytes to filter and deflate at a time: they fit into a core's cache
_GREY, _RGBA = 0, 6  # PNG's colour types
_NONE, _UP = 0, 2  # PNG's filters


@dataclass(frozen=True, slots=True)
class _Encoding:
    """How the rows of a picture are filtered and deflated."""

    colour: int
    channels: int
    filter: int
    strategy: int


_FLAT = _Encoding(_GREY, 1, _NONE, zlib.Z_RLE)
_MATTE = _Encoding(_GREY, 1, _UP, zlib.Z_RLE)
_CUTOUT = _Encoding(_RGBA, 4, _UP, zlib.Z_DEFAULT_STRATEGY)


def encode_flat(mask: Pixels, deadline: Deadline) -> bytes:
    """Encode a grey picture with large areas of equal value: a binary mask or a class map.

    Raises:
        DeadlineExceeded: The time was over between two bands of rows.
    """
    height, width = mask.shape
    bands = (mask[rows] for rows in _bands(width, height))
    return _encode(bands, (width, height), _FLAT, deadline)


def encode_matte(matte: Pixels, deadline: Deadline) -> bytes:
    """Encode a grey picture with smooth transitions.

    Raises:
        DeadlineExceeded: The time was over between two bands of rows.
    """
    height, width = matte.shape
    bands = (matte[rows] for rows in _bands(width, height))
    return _encode(bands, (width, height), _MATTE, deadline)


def encode_cutout(picture: Image.Image, matte: Pixels, deadline: Deadline) -> bytes:
    """Encode the picture as RGBA with the matte as its alpha. It is black where alpha is 0.

    Args:
        picture: RGB, of the matte's size.
        matte: (height, width). 0 is background: the file contains nothing of the picture there.
        deadline: Checked between two bands of rows.

    Raises:
        DeadlineExceeded: The time was over between two bands of rows.
    """
    width, height = picture.size

    def band(rows: slice) -> Pixels:
        layer = picture.crop((0, rows.start, width, rows.stop))
        layer.putalpha(Image.fromarray(matte[rows]))
        # One number for each pixel.
        pixels = np.frombuffer(layer.tobytes(), np.uint32).reshape(-1, width)
        return (pixels * (matte[rows] > 0)).view(np.uint8)

    bands = (band(rows) for rows in _bands(width * _CUTOUT.channels, height))
    return _encode(bands, (width, height), _CUTOUT, deadline)


def _bands(row: int, height: int) -> Iterator[slice]:
    step = max(1, _BAND // row)
    return (slice(top, min(top + step, height)) for top in range(0, height, step))


def _encode(
    bands: Iterable[Pixels], size: tuple[int, int], encoding: _Encoding, deadline: Deadline
) -> bytes:
    deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, zlib.MAX_WBITS, _MEMORY, encoding.strategy)
    parts = []
    above = np.zeros(size[0] * encoding.channels, np.uint8)
    for band in bands:
        deadline.check()
        rows = band.reshape(len(band), -1)
        parts.append(deflate.compress(_filter(rows, above, encoding.filter).data))
        above = rows[-1]
    parts.append(deflate.flush())
    header = struct.pack(">IIBBBBB", *size, 8, encoding.colour, 0, 0, 0)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", header),
            _chunk(b"IDAT", b"".join(parts)),
            _chunk(b"IEND", b""),
        )
    )


def _filter(rows: Pixels, above: Pixels, kind: int) -> Pixels:
    """Return PNG's scan lines: each row with the number of its filter in front."""
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
