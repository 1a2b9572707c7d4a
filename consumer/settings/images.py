"""What a photo may be at the most."""

from typing import Literal

from pydantic import Field

from consumer.settings.group import SettingsGroup
from consumer.settings.lists import CommaList

ImageFormat = Literal[
    "AVIF", "BMP", "DDS", "GIF", "ICO", "JPEG", "JPEG2000", "PNG", "PSD", "QOI", "TIFF", "WEBP"
]
"""What `segmentation.photo` knows by its first bytes, and Pillow decodes."""

_PILLOWS_MOST_PIXELS = 178_956_970  # it refuses more as a bomb, whatever is set here


class ImageSettings(SettingsGroup):
    """What a photo may be at the most."""

    max_image_bytes: int = Field(25 * 1024 * 1024, ge=1, le=1024**3)
    max_image_pixels: int = Field(50_000_000, ge=1, le=_PILLOWS_MOST_PIXELS)
    image_formats: CommaList[ImageFormat] = ("JPEG", "PNG", "WEBP")
