"""Photos made for tests, and the way back from a PNG to pixels."""

import io

import numpy as np
import numpy.typing as npt
from PIL import Image

from segmentation.photo.limits import ImageLimits

Pixels = npt.NDArray[np.uint8]

LIMITS = ImageLimits(25 << 20, 50_000_000, frozenset({"JPEG", "PNG", "WEBP"}))
"""The defaults of docs/operating.md."""
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def read(png: bytes) -> Pixels:
    """A PNG's pixels."""
    return np.asarray(Image.open(io.BytesIO(png)))


def saved(pixels: Pixels | Image.Image, format: str = "PNG", **options: object) -> bytes:  # noqa: A002
    """Pixels as a file."""
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    file = io.BytesIO()
    picture.save(file, format, **options)
    return file.getvalue()


def stripes(width: int = 160, height: int = 320) -> Pixels:
    """A person to `trivial`: a green quarter, then a red one, a blue one, and a white one."""
    pixels = np.empty((height, width, 3), np.uint8)
    for index, colour in enumerate((GREEN, RED, BLUE, WHITE)):
        pixels[index * height // 4 : (index + 1) * height // 4] = colour
    return pixels
