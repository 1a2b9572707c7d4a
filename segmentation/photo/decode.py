"""Decodes a file to an upright RGB picture. A file that can't be used is a `SegmentationError`."""

from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image, UnidentifiedImageError

from segmentation.deadline import Deadline
from segmentation.errors import (
    ImageTooLarge,
    InvalidImage,
    SegmentationError,
)
from segmentation.photo.completeness import check_complete
from segmentation.photo.exif import read_orientation
from segmentation.photo.formats import describe_file, detect_format
from segmentation.photo.jpeg import strip_jpeg
from segmentation.photo.limits import ImageLimits, Size, check_file, check_pixels, refuse_format
from segmentation.photo.png import strip_png
from segmentation.photo.rgb import to_rgb
from segmentation.photo.stripped import StrippedFile
from segmentation.photo.timed_file import TimedFile
from segmentation.photo.webp import strip_webp

_STRIP = {"JPEG": strip_jpeg, "PNG": strip_png, "WEBP": strip_webp}
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
class Photo:
    """A decoded photo."""

    width: int
    """Width of the upright photo in pixels, even if it was decoded at a smaller size."""
    height: int
    """Height of the upright photo in pixels."""
    picture: Image.Image
    """RGB, upright. Smaller than width x height if that was sufficient."""


def decode(
    photo: bytes,
    *,
    limits: ImageLimits,
    deadline: Deadline,
    sufficient_size: Callable[[int, int], Size] | None,
) -> Photo:
    """Decode a photo to RGB. Transparency becomes white. Of an animation, the first frame is used.

    Args:
        photo: The file.
        limits: The photo must be within these.
        deadline: Checked each time the decoder reads more bytes, and before each scan of a JPEG.
        sufficient_size: From the width and height of the upright photo, the size that suffices.
            A JPEG is then decoded at a half, a quarter or an eighth, if that is still as large.
            None: full size.

    Raises:
        InvalidImage: The file is empty, truncated or broken.
        ImageTooLarge: It has too many bytes or pixels, or is a decompression bomb.
        UnsupportedFormat: It isn't a picture, or its format isn't allowed.
        DeadlineExceeded: The time was over.
    """
    check_file(photo, limits)
    try:
        return _decode(photo, limits, deadline, sufficient_size)
    except SegmentationError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError) as error:
        raise ImageTooLarge(f"The picture is too large to decode: {error}") from error
    except Exception as error:
        # On broken files Pillow's parsers raise many types of exceptions: seven on Pillow's own
        # test pictures. All of them mean that the file is broken.
        raise InvalidImage(f"The picture can't be decoded: {error}") from error


def _decode(
    photo: bytes,
    limits: ImageLimits,
    deadline: Deadline,
    sufficient_size: Callable[[int, int], Size] | None,
) -> Photo:
    found = detect_format(photo)
    strip = _STRIP.get(found or "")
    stripped = strip(photo, deadline) if strip else StrippedFile(photo)
    try:
        image: Image.Image = Image.open(
            TimedFile(stripped, deadline), formats=[found] if found else sorted(limits.formats)
        )
    except UnidentifiedImageError:
        if found is None:
            refuse_format(describe_file(photo), limits)
        raise InvalidImage(f"The file begins as {found}, but its header is broken.") from None
    with image:
        check_pixels(image.size, limits)
        orientation = read_orientation(stripped.exif or image.info.get("exif", b""))
        width, height = image.size[::-1] if orientation in _SIDEWAYS else image.size
        if sufficient_size is not None:
            size = sufficient_size(width, height)
            image.draft(None, size[::-1] if orientation in _SIDEWAYS else size)
        image.load()
        check_complete(stripped, image, deadline)
        picture = to_rgb(image)
    deadline.check()
    if orientation in _UPRIGHT:
        picture = picture.transpose(_UPRIGHT[orientation])
    return Photo(width, height, picture)
