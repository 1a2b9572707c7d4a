"""Every mode of Pillow's becomes RGB, with the values that it should have."""

import numpy as np
import pytest
from PIL import Image

from segmentation.photo.rgb import to_rgb

WHITE, BLACK, RED = (255, 255, 255), (0, 0, 0), (255, 0, 0)


def deep(*values: float, kind: str = "uint16") -> Image.Image:
    """A row of grey of more than 8 bits."""
    return Image.fromarray(np.array([values], kind))


def palette(*, transparency: int | bytes | None = None) -> Image.Image:
    """Red and black, by a palette."""
    picture = Image.new("P", (2, 1))
    picture.putpalette([255, 0, 0, 0, 0, 0])
    picture.putdata([0, 1])
    if transparency is not None:
        picture.info["transparency"] = transparency
    return picture


def clear(mode: str, *pixels: tuple[int, ...]) -> Image.Image:
    """A row of pixels with an alpha channel."""
    picture = Image.new(mode, (len(pixels), 1))
    picture.putdata(pixels)
    return picture


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (deep(0, 257, 32896, 65535), [(0,) * 3, (1,) * 3, (128,) * 3, WHITE]),
        (deep(0, 65535, 70000, -5, kind="int32"), [BLACK, WHITE, WHITE, BLACK]),
        (deep(0.0, 0.5, 1.0, np.nan, kind="float32"), [BLACK, (127,) * 3, WHITE, BLACK]),
        (Image.new("1", (1, 1), 1), [WHITE]),
        (Image.new("L", (1, 1), 77), [(77, 77, 77)]),
        (Image.new("CMYK", (1, 1), (0, 255, 255, 0)), [RED]),
        (Image.new("CMYK", (1, 1), (0, 0, 0, 255)), [BLACK]),
        (palette(), [RED, BLACK]),
        (palette(transparency=1), [RED, WHITE]),
        (palette(transparency=bytes([0, 255])), [WHITE, BLACK]),
        (clear("RGBA", (255, 0, 0, 255), (255, 0, 0, 0), (0, 0, 0, 51)), [RED, WHITE, (204,) * 3]),
        (clear("LA", (0, 255), (0, 0)), [BLACK, WHITE]),
    ],
)  # fmt: skip
def test_a_mode_becomes_rgb(picture: Image.Image, expected: list[tuple[int, int, int]]) -> None:
    """Sixteen bits are scaled and not clipped; what is transparent is white."""
    converted = to_rgb(picture)
    assert (converted.mode, converted.size) == ("RGB", picture.size)
    assert [tuple(pixel) for pixel in np.asarray(converted)[0].tolist()] == expected


def test_a_transparent_colour_is_white() -> None:
    """PNG's tRNS of a picture without a palette."""
    picture = Image.new("RGB", (2, 1), RED)
    picture.putpixel((1, 0), (0, 0, 255))
    picture.info["transparency"] = RED
    assert np.asarray(to_rgb(picture))[0].tolist() == [list(WHITE), [0, 0, 255]]


def test_a_large_picture_is_converted_in_bands_without_a_seam() -> None:
    """Several bands, each row as it was."""
    rows = (np.arange(3000) % 256).astype(np.uint8)[:, None].repeat(1000, axis=1)
    np.testing.assert_array_equal(rows, np.asarray(to_rgb(Image.fromarray(rows)))[..., 1])
