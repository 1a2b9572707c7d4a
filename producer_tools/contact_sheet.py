"""The contact sheet: a PNG that shows each photo next to a copy with its masks drawn on it."""

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import ExifTags, Image, ImageDraw, ImageFilter, ImageFont, ImageOps

_COLOURS = {
    "upper_body_mask": (40, 214, 96),
    "lower_body_mask": (232, 48, 208),
    "alpha_mask": (255, 176, 0),
}
_PAPER, _FRAME = (250, 250, 248), (226, 226, 222)
_INK, _FAINT, _ALARM = (32, 32, 32), (120, 120, 116), (196, 40, 40)

_UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)

# The height of a photo on the sheet, by the largest number of photos for which it is used. Viewers
# can still open a sheet of many hundred photos.
_HEIGHTS = ((6, 420), (60, 300), (math.inf, 160))

_GAP = 16
_LINE = 22
_CAPTION = 2 * _LINE + 8
_FILL = 0.42
_OUTLINE = 3  # in pixels of the drawing, which is twice as large as what is shown


@dataclass(frozen=True)
class Tile:
    """One photo of the sheet, with its masks and its caption."""

    name: str
    """The photo's file name."""
    photo: bytes
    """The photo's file as it was submitted."""
    state: str
    """The state of its job."""
    masks: Mapping[str, bytes] = field(default_factory=dict)
    """PNG files by output, with the size of the upright photo. Outputs in `_COLOURS` are drawn."""
    coverage: Mapping[str, float] = field(default_factory=dict)
    """Share of the photo that each mask covers, 0 to 1."""
    error: str | None = None
    """Why the job failed."""


def contact_sheet(tiles: Sequence[Tile], path: Path) -> None:
    """Write the contact sheet of `tiles` to `path` as a PNG.

    Only one photo at a time is in memory at full size, so that many large photos fit.
    """
    panel = _panel(tiles)
    width, height = 2 * panel[0] + _GAP, panel[1] + _CAPTION
    count = max(len(tiles), 1)
    columns = _columns(count, width, height)
    rows = math.ceil(count / columns)
    size = (columns * (width + 2 * _GAP), rows * (height + _GAP) + 2 * _GAP + _LINE)
    sheet = Image.new("RGB", size, _PAPER)
    _legend(ImageDraw.Draw(sheet), tiles)
    for index, tile in enumerate(tiles):
        row, column = divmod(index, columns)
        corner = (_GAP + column * (width + 2 * _GAP), 2 * _GAP + _LINE + row * (height + _GAP))
        sheet.paste(_draw_tile(tile, panel), corner)
    sheet.save(path, format="PNG")


def _panel(tiles: Sequence[Tile]) -> tuple[int, int]:
    """Return the size of each picture: a square, or narrower if all photos are."""
    height = next(height for most, height in _HEIGHTS if len(tiles) <= most)
    widest = max((_aspect(tile.photo) for tile in tiles), default=1.0)
    return round(height * min(max(widest, 0.6), 1.0)), height


def _aspect(content: bytes) -> float:
    """Return width / height of the upright photo, from its header. 0 if it can't be read."""
    try:
        with Image.open(io.BytesIO(content)) as photo:
            turned = photo.getexif().get(ExifTags.Base.Orientation, 1) >= 5
            width, height = reversed(photo.size) if turned else photo.size
    except _UNREADABLE:
        return 0.0
    return width / height


def _columns(count: int, width: int, height: int) -> int:
    """Return the number of columns with which the sheet is closest to 4:3."""
    return min(
        range(1, count + 1),
        key=lambda columns: abs(
            math.log((columns * width) / (math.ceil(count / columns) * height) / (4 / 3))
        ),
    )


def _legend(draw: ImageDraw.ImageDraw, tiles: Sequence[Tile]) -> None:
    x, font = _GAP, ImageFont.load_default(size=16)
    for output, colour in _COLOURS.items():
        if any(output in tile.masks for tile in tiles):
            draw.rounded_rectangle((x, _GAP + 2, x + 16, _GAP + 18), 4, fill=colour)
            text = _label(output)
            draw.text((x + 24, _GAP), text, _INK, font)
            x += 24 + int(font.getlength(text)) + 2 * _GAP


def _label(output: str) -> str:
    return output.removesuffix("_mask").replace("_", " ")


def _draw_tile(tile: Tile, panel: tuple[int, int]) -> Image.Image:
    """Draw the photo, the photo with its masks, and two lines of text."""
    width, height = panel
    cell = Image.new("RGB", (2 * width + _GAP, height + _CAPTION), _PAPER)
    right = width + _GAP
    photo = _photo(tile.photo, panel)
    if photo is None:
        _blank(cell, 0, panel, "not readable as an image")
    else:
        _place(cell, photo, 0, panel)
    if photo is None or not tile.masks:
        _blank(cell, right, panel, "no masks")
    else:
        _place(cell, masked(photo, tile.masks), right, panel)
    _caption(cell, tile, top=height)
    return cell


def _photo(content: bytes, panel: tuple[int, int]) -> Image.Image | None:
    """Return the upright photo, twice as large as it is shown. None if it can't be read."""
    width, height = 2 * panel[0], 2 * panel[1]
    try:
        with Image.open(io.BytesIO(content)) as photo:
            photo.draft("RGB", (height, height))
            upright = ImageOps.exif_transpose(photo).convert("RGB")
    except _UNREADABLE:
        return None
    scale = min(width / upright.width, height / upright.height)
    size = (max(1, round(upright.width * scale)), max(1, round(upright.height * scale)))
    return upright.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def masked(photo: Image.Image, masks: Mapping[str, bytes]) -> Image.Image:
    """Return the photo with a transparent fill and a solid outline for each mask."""
    picture = photo.copy()
    for output, colour in _COLOURS.items():
        if output not in masks:
            continue
        with Image.open(io.BytesIO(masks[output])) as png:
            mask = png.convert("L").resize(photo.size, Image.Resampling.BOX)
        inside = mask.point(lambda value: 255 if value >= 128 else 0)
        edge = Image.composite(
            Image.new("L", inside.size, 0), inside, inside.filter(ImageFilter.MinFilter(_OUTLINE))
        )
        picture.paste(colour, mask=mask.point(lambda value: round(value * _FILL)))
        picture.paste(colour, mask=edge.filter(ImageFilter.MaxFilter(_OUTLINE)))
    return picture


def _place(cell: Image.Image, picture: Image.Image, left: int, panel: tuple[int, int]) -> None:
    half = (max(1, picture.width // 2), max(1, picture.height // 2))
    small = picture.resize(half, Image.Resampling.BOX)
    corner = (left + (panel[0] - small.width) // 2, (panel[1] - small.height) // 2)
    cell.paste(small, corner)


def _blank(cell: Image.Image, left: int, panel: tuple[int, int], text: str) -> None:
    width, height = panel
    draw = ImageDraw.Draw(cell)
    draw.rectangle((left, 0, left + width - 1, height - 1), fill=_FRAME)
    middle = (left + width // 2, height // 2)
    draw.text(middle, text, _FAINT, ImageFont.load_default(size=16), anchor="mm")


def _caption(cell: Image.Image, tile: Tile, *, top: int) -> None:
    draw, width = ImageDraw.Draw(cell), cell.width
    ink = _ALARM if tile.state == "failed" else _FAINT
    small, large = ImageFont.load_default(size=15), ImageFont.load_default(size=17)
    room = width - int(small.getlength(tile.state)) - _GAP
    draw.text((0, top + 6), _fitted(tile.name, large, room), _INK, large)
    draw.text((width, top + 8), tile.state, ink, small, anchor="ra")
    detail = tile.error or ", ".join(
        f"{_label(output)} {part:.1%}" for output, part in tile.coverage.items()
    )
    draw.text((0, top + 6 + _LINE), _fitted(detail, small, width), ink, small)


def _fitted(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """Return the text on one line of at most `width` pixels. Cut it with an ellipsis if needed."""
    text = " ".join(text.split())
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text}…"
