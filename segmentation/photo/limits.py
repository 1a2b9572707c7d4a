"""The limits of a photo (bytes, pixels, formats), and the checks against them."""

from dataclasses import dataclass
from typing import NoReturn

from segmentation.errors import ImageTooLarge, InvalidImage, UnsupportedFormat
from segmentation.photo.formats import detect_format

Size = tuple[int, int]
"""Width and height in pixels, in Pillow's order."""


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """What a photo may be."""

    max_bytes: int
    """Largest file in bytes."""
    max_pixels: int
    """Largest width x height. It is read from the file's header, before the photo is decoded."""
    formats: frozenset[str]
    """The allowed formats by their names in Pillow, such as JPEG, PNG, WEBP."""


def check_file(photo: bytes, limits: ImageLimits) -> None:
    """Check the length of a file, and its format if the first bytes show one.

    Raises:
        InvalidImage: The file is empty.
        ImageTooLarge: The file has too many bytes.
        UnsupportedFormat: The format isn't allowed.
    """
    if not photo:
        raise InvalidImage("The file is empty.")
    if len(photo) > limits.max_bytes:
        raise ImageTooLarge(f"The file has {len(photo):,} bytes, {limits.max_bytes:,} are allowed.")
    if (found := detect_format(photo)) not in {None, *limits.formats}:
        refuse_format(f"a {found} picture", limits)


def refuse_format(found: str, limits: ImageLimits) -> NoReturn:
    """Raise `UnsupportedFormat` with what the file is and which formats are allowed."""
    allowed = ", ".join(sorted(limits.formats))
    raise UnsupportedFormat(f"The file is {found}; allowed are {allowed}.")


def check_pixels(size: Size, limits: ImageLimits) -> None:
    """Check the number of pixels.

    Raises:
        ImageTooLarge: The picture has too many.
    """
    width, height = size
    if width * height > limits.max_pixels:
        raise ImageTooLarge(
            f"The picture has {width} x {height} pixels, {limits.max_pixels:,} are allowed."
        )
