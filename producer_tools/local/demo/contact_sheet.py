"""The contact sheet: each photo beside the same photo with its masks drawn over it, in one PNG."""

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

# How tall a photo is shown, by the number of photos up to which it is: a sheet of many hundreds
# stays a picture that viewers open.
_HEIGHTS = ((6, 420), (60, 300), (math.inf, 160))

_GAP = 16
_LINE = 22
_CAPTION = 2 * _LINE + 8
_FILL = 0.42
_OUTLINE = 3  # in pixels of the drawing, which is twice as large as what is shown


@dataclass(frozen=True)
class Tile:
    """One photo of the sheet.

    Attributes:
        name: Its file name.
        photo: Its bytes as they were sent.
        state: The job's state.
        masks: PNG bytes by output, of the upright photo's size; those that have a colour are drawn.
        coverage: The part of the photo that each mask covers, 0 to 1.
        error: Why the job failed.
    """

    name: str
    photo: bytes
    state: str
    masks: Mapping[str, bytes] = field(default_factory=dict)
    coverage: Mapping[str, float] = field(default_factory=dict)
    error: str | None = None


def contact_sheet(entries: Sequence[Tile], path: Path) -> None:
    """Write the contact sheet of `entries` to `path` as a PNG.

    One photo at a time is held in full, and every one is scaled down, so that many and large ones
    fit into memory.
    """
    panel = _panel(entries)
    width, height = 2 * panel[0] + _GAP, panel[1] + _CAPTION
    count = max(len(entries), 1)
    columns = _columns(count, width, height)
    rows = math.ceil(count / columns)
    size = (columns * (width + 2 * _GAP), rows * (height + _GAP) + 2 * _GAP + _LINE)
    sheet = Image.new("RGB", size, _PAPER)
    _legend(ImageDraw.Draw(sheet), entries)
    for index, entry in enumerate(entries):
        row, column = divmod(index, columns)
        corner = (_GAP + column * (width + 2 * _GAP), 2 * _GAP + _LINE + row * (height + _GAP))
        sheet.paste(_cell(entry, panel), corner)
    sheet.save(path, format="PNG")


def _panel(entries: Sequence[Tile]) -> tuple[int, int]:
    """The room that each picture gets: square, or narrower when all photos are."""
    height = next(height for most, height in _HEIGHTS if len(entries) <= most)
    widest = max((_aspect(entry.photo) for entry in entries), default=1.0)
    return round(height * min(max(widest, 0.6), 1.0)), height


def _aspect(content: bytes) -> float:
    """Width by height of the upright photo, from its head alone; 0 when it can't be read."""
    try:
        with Image.open(io.BytesIO(content)) as photo:
            turned = photo.getexif().get(ExifTags.Base.Orientation, 1) >= 5
            width, height = reversed(photo.size) if turned else photo.size
    except _UNREADABLE:
        return 0.0
    return width / height


def _columns(count: int, width: int, height: int) -> int:
    """The number of columns that brings the sheet nearest to 4:3."""
    return min(
        range(1, count + 1),
        key=lambda columns: abs(
            math.log((columns * width) / (math.ceil(count / columns) * height) / (4 / 3))
        ),
    )


def _legend(draw: ImageDraw.ImageDraw, entries: Sequence[Tile]) -> None:
    x, font = _GAP, ImageFont.load_default(size=16)
    for output, colour in _COLOURS.items():
        if any(output in entry.masks for entry in entries):
            draw.rounded_rectangle((x, _GAP + 2, x + 16, _GAP + 18), 4, fill=colour)
            words = _words(output)
            draw.text((x + 24, _GAP), words, _INK, font)
            x += 24 + int(font.getlength(words)) + 2 * _GAP


def _words(output: str) -> str:
    return output.removesuffix("_mask").replace("_", " ")


def _cell(entry: Tile, panel: tuple[int, int]) -> Image.Image:
    """One entry: the photo, the photo with its masks, and two lines of words."""
    width, height = panel
    cell = Image.new("RGB", (2 * width + _GAP, height + _CAPTION), _PAPER)
    right = width + _GAP
    photo = _photo(entry.photo, panel)
    if photo is None:
        _blank(cell, 0, panel, "not readable as an image")
    else:
        _place(cell, photo, 0, panel)
    if photo is None or not entry.masks:
        _blank(cell, right, panel, "no masks")
    else:
        _place(cell, _masked(photo, entry.masks), right, panel)
    _caption(cell, entry, top=height)
    return cell


def _photo(content: bytes, panel: tuple[int, int]) -> Image.Image | None:
    """The upright photo, twice as large as it is shown; None when it can't be read."""
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


def _masked(photo: Image.Image, masks: Mapping[str, bytes]) -> Image.Image:
    """The photo with each mask softly filled and crisply outlined."""
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


def _blank(cell: Image.Image, left: int, panel: tuple[int, int], words: str) -> None:
    width, height = panel
    draw = ImageDraw.Draw(cell)
    draw.rectangle((left, 0, left + width - 1, height - 1), fill=_FRAME)
    middle = (left + width // 2, height // 2)
    draw.text(middle, words, _FAINT, ImageFont.load_default(size=16), anchor="mm")


def _caption(cell: Image.Image, entry: Tile, *, top: int) -> None:
    draw, width = ImageDraw.Draw(cell), cell.width
    ink = _ALARM if entry.state == "failed" else _FAINT
    small, large = ImageFont.load_default(size=15), ImageFont.load_default(size=17)
    room = width - int(small.getlength(entry.state)) - _GAP
    draw.text((0, top + 6), _fitted(entry.name, large, room), _INK, large)
    draw.text((width, top + 8), entry.state, ink, small, anchor="ra")
    detail = entry.error or ", ".join(
        f"{_words(output)} {part:.1%}" for output, part in entry.coverage.items()
    )
    draw.text((0, top + 6 + _LINE), _fitted(detail, small, width), ink, small)


def _fitted(words: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """The words on one line of at most `width` pixels, cut short with an ellipsis if need be."""
    words = " ".join(words.split())
    if font.getlength(words) <= width:
        return words
    while words and font.getlength(f"{words}…") > width:
        words = words[:-1]
    return f"{words}…"
