"""Looks at an upload's content and header: what picture it is, and how large."""

import asyncio
import warnings
from dataclasses import dataclass
from io import FileIO

from PIL import Image

from segmentation.photo.formats import detect_format

_HEAD_BYTES = 4096
LARGEST_SIDE = 10**9
"""Stands for the side of a picture that Pillow refuses as a bomb."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as its header has it."""

    format: str | None
    """Pillow's name of the format. None: it isn't known here."""
    width: int
    height: int


async def look_at(file: FileIO) -> Picture | None:
    """Return what an upload is. None: it is no picture. It is read in a thread."""
    return await asyncio.to_thread(_look_at, file)


def _look_at(file: FileIO) -> Picture | None:
    file.seek(0)
    found = detect_format(file.read(_HEAD_BYTES))
    file.seek(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(file, formats=[found] if found else None)
            return Picture(found or image.format, *image.size)
    except Image.DecompressionBombError:
        return Picture(found, LARGEST_SIDE, LARGEST_SIDE)
    except Exception:
        # Pillow's parsers raise many types of exceptions on broken files. Of a known format only
        # the first bytes are right then; the line says what is wrong.
        return None
