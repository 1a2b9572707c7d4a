"""The contact sheet shows every photo with its masks, or with what went wrong."""

import io
from pathlib import Path

import pytest
from PIL import Image

from producer_tools.contact_sheet import Tile, contact_sheet


def encoded(image: Image.Image, form: str = "PNG", **how: object) -> bytes:
    """The image as a file's bytes."""
    file = io.BytesIO()
    image.save(file, form, **how)
    return file.getvalue()


def grey(width: int, height: int) -> Image.Image:
    """A plain photo."""
    return Image.new("RGB", (width, height), (128, 128, 128))


def left_half(width: int, height: int) -> bytes:
    """A mask that covers the left half."""
    mask = Image.new("L", (width, height), 0)
    mask.paste(255, (0, 0, width // 2, height))
    return encoded(mask)


def sheet(tmp_path: Path, *entries: Tile) -> Image.Image:
    """The sheet of the entries, read back."""
    contact_sheet(entries, tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as image:
        assert image.format == "PNG"
        return image.convert("RGB")


def colours(image: Image.Image) -> set[tuple[int, ...]]:
    """The colours of an image."""
    pixels = image.getcolors(image.width * image.height)
    assert pixels is not None
    return {colour for _, colour in pixels if isinstance(colour, tuple)}


def test_masks_are_drawn_over_the_second_picture_only(tmp_path: Path) -> None:
    """The photo stays plain on the left; on the right its masked half is tinted."""
    entry = Tile(
        "a.png",
        encoded(grey(400, 400)),
        "completed",
        masks={"upper_body_mask": left_half(400, 400)},
        coverage={"upper_body_mask": 0.5},
    )
    image = sheet(tmp_path, entry)
    middle = 16 + 22 + 16 + 210
    left, masked, plain = (image.getpixel((16 + x, middle)) for x in (100, 436 + 100, 436 + 320))
    assert left == plain == (128, 128, 128)
    assert isinstance(masked, tuple)
    assert masked[1] > masked[0]


def test_a_turned_photo_is_shown_upright(tmp_path: Path) -> None:
    """The mask is of the upright photo's size, so the photo is turned by its EXIF orientation."""
    photo = grey(400, 200)
    photo.paste((255, 0, 0), (0, 0, 100, 200))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter to the right: the left edge becomes the top
    image = sheet(tmp_path, Tile("a.png", encoded(photo, exif=exif), "completed"))
    assert image.getpixel((16 + 126, 54 + 20)) == (255, 0, 0)
    assert image.getpixel((16 + 126, 54 + 400)) == (128, 128, 128)


@pytest.mark.parametrize("photo", [b"", b"nothing", encoded(grey(64, 64))[:80]])
def test_what_is_no_image_has_its_place_and_its_error(tmp_path: Path, photo: bytes) -> None:
    """A failed job is on the sheet like any other, its error in red."""
    image = sheet(tmp_path, Tile("bad.jpg", photo, "failed", error="invalid_image: cut off"))
    assert (196, 40, 40) in colours(image)


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (6000, 4000)])
def test_any_size_fits(tmp_path: Path, size: tuple[int, int]) -> None:
    """Thin, tiny and huge photos are scaled to their place."""
    masks = {"upper_body_mask": left_half(*size)}
    image = sheet(tmp_path, Tile("a.jpg", encoded(grey(*size), "JPEG"), "completed", masks))
    assert max(image.size) < 1000


def test_many_photos_make_a_grid(tmp_path: Path) -> None:
    """Neither a strip nor a column."""
    entry = Tile("a.jpg", encoded(grey(60, 90), "JPEG"), "completed")
    image = sheet(tmp_path, *[entry] * 30)
    assert 0.8 < image.width / image.height < 2.2


def test_words_too_long_or_not_of_the_font_are_no_trouble(tmp_path: Path) -> None:
    """Long names are cut; letters that the font lacks don't stop the sheet."""
    sheet(tmp_path, Tile("照片 " * 100 + "\n.jpg", encoded(grey(9, 9)), "failed", error="x" * 999))


def test_no_photos_give_an_empty_sheet(tmp_path: Path) -> None:
    """Nothing to show is no error."""
    assert sheet(tmp_path).size[0] > 0
