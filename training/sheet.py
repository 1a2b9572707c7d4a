"""The contact sheet: photos with the masks that the models gave them laid over."""

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
    """An image, a word on it, and class maps to lay over it, each of them beside the last."""

    image: Pixels
    classes: Sequence[Pixels]
    said: str = ""


def portraits() -> list[Pixels]:
    """The demo's photos: matplotlib's Grace Hopper, scikit-image's astronaut and camera man."""
    import matplotlib.cbook
    import skimage

    bundled = Path(skimage.__file__).parent / "data"
    hopper = Path(str(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)))
    files = (hopper, bundled / "astronaut.png", bundled / "camera.png")
    return [np.asarray(Image.open(file).convert("RGB")) for file in files]


def sheet(kinds: Mapping[str, Sequence[Shown]], *, columns: int = 4) -> Image.Image:
    """A tile for each photo: the image, and beside it the image under each map's colours."""
    tiles = [(name, shown) for name, several in kinds.items() for shown in several]
    across = _TILE * (1 + max(len(shown.classes) for _, shown in tiles))
    rows = -(-len(tiles) // columns)
    canvas = Image.new("RGB", (columns * across, rows * (_TILE + 14)), "white")
    pen = ImageDraw.Draw(canvas)
    for place, (name, shown) in enumerate(tiles):
        x, y = place % columns * across, place // columns * (_TILE + 14)
        pen.text((x + 2, y + 1), f"{name} {shown.said}", fill="black")
        painted = (_painted(shown.image, classes) for classes in shown.classes)
        for side, pixels in enumerate((shown.image, *painted)):
            tile = Image.fromarray(pixels)
            tile.thumbnail((_TILE - 2, _TILE))
            canvas.paste(tile, (x + side * _TILE, y + 14))
    return canvas


def _painted(image: Pixels, classes: Pixels) -> Pixels:
    mixed = image * 0.45 + _COLOURS[classes] * 0.55
    return np.where((classes > 0)[..., None], mixed, image * 0.6 + 60).astype(np.uint8)
