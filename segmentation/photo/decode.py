"""Decoding: bytes from anywhere become an upright RGB picture, or one clear error."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from PIL import Image, UnidentifiedImageError

from segmentation.deadline import Deadline
from segmentation.errors import (
    ImageTooLarge,
    InvalidImage,
    SegmentationError,
    UnsupportedFormat,
)
from segmentation.photo.completeness import check_complete
from segmentation.photo.formats import describe_file, detect_format
from segmentation.photo.rgb import to_rgb

Size = tuple[int, int]
"""Width and height in pixels, as Pillow orders them."""

_ORIENTATION = 0x0112  # EXIF's tag
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = {5, 6, 7, 8}  # orientations that swap width and height


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """What a photo may be."""

    max_bytes: int
    """Bytes of the file."""
    max_pixels: int
    """Width x height, read from the header before anything is decoded."""
    formats: frozenset[str]
    """Pillow's names of the allowed formats, such as JPEG, PNG, WEBP."""


@dataclass(frozen=True, slots=True)
class Photo:
    """A decoded photo."""

    width: int
    """Width of the upright photo, in pixels, whatever size it was decoded at."""
    height: int
    """Height of the upright photo, in pixels."""
    picture: Image.Image
    """RGB, upright; smaller than width x height where that was sufficient_size."""


def decode(
    photo: bytes,
    *,
    limits: ImageLimits,
    deadline: Deadline,
    sufficient_size: Callable[[int, int], Size] | None,
) -> Photo:
    """The photo, upright, in RGB: transparency over white, of an animation the first frame.

    Args:
        photo: The file.
        limits: What it may be.
        deadline: Checked whenever the decoder asks for more bytes.
        sufficient_size: From the width and height of the upright photo, the size that suffices.
            A JPEG is then decoded at a half, a quarter or an eighth, if that is still as large.
            None: full size.

    Raises:
        InvalidImage: Empty, truncated or broken.
        ImageTooLarge: More bytes or pixels than allowed, or a bomb.
        UnsupportedFormat: Not a picture, or of a format that isn't allowed.
        DeadlineExceeded: The time was over.
    """
    _check_file(photo, limits)
    try:
        return _decode(photo, limits, deadline, sufficient_size)
    except SegmentationError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError) as error:
        raise ImageTooLarge(f"The picture is too large to decode: {error}") from error
    except Exception as error:
        # On hostile bytes Pillow raises whatever its parsers happen to hit: seven types on its own
        # test pictures. Whichever it is, the file is broken.
        raise InvalidImage(f"The picture can't be decoded: {error}") from error


def _check_file(photo: bytes, limits: ImageLimits) -> None:
    if not photo:
        raise InvalidImage("The file is empty.")
    if len(photo) > limits.max_bytes:
        raise ImageTooLarge(f"The file has {len(photo):,} bytes, {limits.max_bytes:,} are allowed.")
    if (found := detect_format(photo)) not in {None, *limits.formats}:
        _refuse(f"a {found} picture", limits)


def _refuse(found: str, limits: ImageLimits) -> NoReturn:
    allowed = ", ".join(sorted(limits.formats))
    raise UnsupportedFormat(f"The file is {found}; allowed are {allowed}.")


def _decode(
    photo: bytes,
    limits: ImageLimits,
    deadline: Deadline,
    sufficient_size: Callable[[int, int], Size] | None,
) -> Photo:
    found = detect_format(photo)
    try:
        image: Image.Image = Image.open(
            _TimedFile(photo, deadline), formats=[found] if found else sorted(limits.formats)
        )
    except UnidentifiedImageError:
        if found is None:
            _refuse(describe_file(photo), limits)
        raise InvalidImage(f"The file begins as {found}, but its header is broken.") from None
    with image:
        _check_pixels(image.size, limits)
        orientation = _orientation(image)
        width, height = image.size[::-1] if orientation in _SIDEWAYS else image.size
        if sufficient_size is not None:
            size = sufficient_size(width, height)
            image.draft(None, size[::-1] if orientation in _SIDEWAYS else size)
        image.load()
        check_complete(photo, image, deadline)
        picture = to_rgb(image)
    deadline.check()
    if orientation in _UPRIGHT:
        picture = picture.transpose(_UPRIGHT[orientation])
    return Photo(width, height, picture)


def _check_pixels(size: Size, limits: ImageLimits) -> None:
    width, height = size
    if width * height > limits.max_pixels:
        raise ImageTooLarge(
            f"The picture has {width} x {height} pixels, {limits.max_pixels:,} are allowed."
        )


def _orientation(image: Image.Image) -> int:
    """EXIF's orientation, 1 to 8; 1 where there is none, or none that can be read."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except SegmentationError:
        raise
    except Exception:  # a photo with broken EXIF is still a photo
        return 1


class _TimedFile(io.BytesIO):
    """A file in memory that refuses to be read once the time is over."""

    def __init__(self, photo: bytes, deadline: Deadline) -> None:
        super().__init__(photo)
        self._deadline = deadline

    def read(self, size: int | None = -1, /) -> bytes:
        self._deadline.check()
        return super().read(size)
