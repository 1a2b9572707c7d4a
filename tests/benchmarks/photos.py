"""The photos of a run: a folder's, or a set made of the public-domain ones inside packages."""

import io
import random
from pathlib import Path

from PIL import Image

from producer_tools.local.demo.photos import demo_photos, find_photos

SEED = 20261122
WIDTH, HEIGHT = 550, 825
MEGAPIXEL = 1_000_000


def photos(folder: Path | None, count: int) -> list[bytes]:
    """`count` photos as files: the first of `folder`, again and again if it has fewer."""
    if folder is None:
        return _crops(count)
    found = [path.read_bytes() for path in find_photos([folder])[:count]]
    return [found[index % len(found)] for index in range(count)]


def jpeg(megapixels: float, *, seed: int = SEED) -> bytes:
    """A JPEG of so many megapixels, 2:3, cut from a public-domain photo."""
    width = round((megapixels * MEGAPIXEL * WIDTH / HEIGHT) ** 0.5)
    return _saved(_cut(random.Random(seed), (width, round(width * HEIGHT / WIDTH))))


def square_jpeg(side: int) -> bytes:
    """A JPEG of `side` x `side` pixels, cut from a public-domain photo."""
    return _saved(_cut(random.Random(SEED), (side, side)))


def _crops(count: int) -> list[bytes]:
    chance = random.Random(SEED)
    return [_saved(_cut(chance, (WIDTH, HEIGHT))) for _ in range(count)]


def _cut(chance: random.Random, size: tuple[int, int]) -> Image.Image:
    """Cut a part of the size's aspect from one of the photos, at a half to all of its size."""
    with Image.open(chance.choice(demo_photos())) as photo:
        whole = photo.convert("RGB")
    part = chance.uniform(0.5, 1.0) * min(whole.width / size[0], whole.height / size[1])
    width, height = size[0] * part, size[1] * part
    left = chance.uniform(0, whole.width - width)
    top = chance.uniform(0, whole.height - height)
    return whole.resize(size, Image.Resampling.BICUBIC, box=(left, top, left + width, top + height))


def _saved(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=90)
    return file.getvalue()
