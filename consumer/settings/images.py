"""What a photo may be at the most."""

from pydantic import Field

from consumer.settings.base import CommaList, SettingsGroup


class ImageSettings(SettingsGroup):
    """What a photo may be at the most."""

    max_image_bytes: int = Field(25 * 1024 * 1024, ge=1)
    max_image_pixels: int = Field(50_000_000, ge=1)
    image_formats: CommaList = ("JPEG", "PNG", "WEBP")
