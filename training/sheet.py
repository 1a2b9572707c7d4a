"""The contact sheet: photos with the masks that the model gave them laid over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from training.data import Pixels

_TILE = 240
_COLOURS = np.array([[0, 0, 0], [160, 160, 160], [230, 50, 50], [50, 90, 230]], np.float32)


@dataclass(frozen=True)
class Shown:
    """An image and the classes that the model gave it."""

    image: Pixels
    classes: Pixels


def portraits() -> list[Pixels]:
    """The demo's two photos: matplotlib's Grace Hopper and scikit-image's astronaut."""
    import matplotlib.cbook
    import skimage

    astronaut = Path(skimage.__file__).parent / "data" / "astronaut.png"
    with matplotlib.cbook.get_sample_data("grace_hopper.jpg") as file:
        hopper = np.asarray(Image.open(file).convert("RGB"))
    return [hopper, np.asarray(Image.open(astronaut).convert("RGB"))]


def sheet(kinds: Mapping[str, Sequence[Shown]], *, columns: int = 4) -> Image.Image:
    """A tile for each photo: the image, and beside it the image under its mask's colours."""
    tiles = [(name, shown) for name, several in kinds.items() for shown in several]
    rows = -(-len(tiles) // columns)
    canvas = Image.new("RGB", (columns * 2 * _TILE, rows * (_TILE + 14)), "white")
    pen = ImageDraw.Draw(canvas)
    for place, (name, shown) in enumerate(tiles):
        x, y = place % columns * 2 * _TILE, place // columns * (_TILE + 14)
        pen.text((x + 2, y + 1), name, fill="black")
        for side, pixels in enumerate((shown.image, _painted(shown))):
            tile = Image.fromarray(pixels)
            tile.thumbnail((_TILE - 2, _TILE))
            canvas.paste(tile, (x + side * _TILE, y + 14))
    return canvas


def _painted(shown: Shown) -> Pixels:
    mask = (shown.classes > 0)[..., None]
    mixed = shown.image * 0.45 + _COLOURS[shown.classes] * 0.55
    return np.where(mask, mixed, shown.image * 0.6 + 60).astype(np.uint8)
