"""PNG of masks, mattes and cutouts, several ways: `python -m tests.benchmarks.png [PHOTO ...]`.

Without photos a drawn figure is used; with them, their masks by the default model. Each is enlarged
to 2048 x 2048. Printed are the median CPU milliseconds of one thread and the size of the file, for
Pillow at several levels and for every filter and strategy that our own writer could use.
"""

from __future__ import annotations

import io
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from time import thread_time

import numpy as np
from PIL import Image, ImageDraw

from segmentation.catalog.catalog import Catalog
from segmentation.deadline import Deadline
from segmentation.masks.png import encode_cutout, encode_flat, encode_matte
from segmentation.segment import ImageLimits, segment
from tests.photos import Pixels, read

SIDE = 2048
LIMITS = ImageLimits(25 << 20, 50_000_000, frozenset({"JPEG", "PNG", "WEBP"}))
FILTERS = {"none": 0, "sub": 1, "up": 2}
STRATEGIES = {"default": zlib.Z_DEFAULT_STRATEGY, "rle": zlib.Z_RLE, "fixed": zlib.Z_FIXED}
REPEATS = 3


def drawn() -> tuple[Image.Image, Pixels, Pixels]:
    """A photo of noise, the mask and the matte of a figure in it."""
    figure = Image.new("L", (256, 256))
    pen = ImageDraw.Draw(figure)
    pen.ellipse((108, 20, 148, 70), fill=255)
    pen.polygon([(80, 75), (176, 75), (200, 160), (160, 250), (96, 250), (56, 160)], fill=255)
    matte = np.asarray(figure.resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
    photo = Image.fromarray(noise).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    return photo, np.where(matte > 127, 255, 0).astype(np.uint8), matte


def of_photo(path: Path, catalog: Catalog) -> tuple[Image.Image, Pixels, Pixels]:
    """The photo, its upper-body mask and its matte."""
    photo = Image.open(path).convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    photo.save(file, "JPEG", quality=92)
    files = segment(
        file.getvalue(),
        model=catalog.model(None),
        outputs=["upper_body_mask", "alpha_mask"],
        limits=LIMITS,
        deadline=Deadline(60),
    ).files
    return photo, read(files["upper_body_mask"]), read(files["alpha_mask"])


def pillow(level: int) -> Callable[[Pixels], bytes]:
    """Pillow's writer, which weighs five filters for each row."""

    def encode(pixels: Pixels) -> bytes:
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG", compress_level=level)
        return file.getvalue()

    return encode


def plain(filter_: int, level: int, strategy: int) -> Callable[[Pixels], bytes]:
    """One filter for all rows, then zlib at this level and strategy."""

    def encode(pixels: Pixels) -> bytes:
        rows = pixels.reshape(len(pixels), -1)
        step = pixels[0, 0].size
        lines = np.full((rows.shape[0], rows.shape[1] + 1), filter_, np.uint8)
        lines[:, 1:] = rows
        if filter_ == FILTERS["up"]:
            lines[1:, 1:] -= rows[:-1]
        elif filter_ == FILTERS["sub"]:
            lines[:, 1 + step :] -= rows[:, :-step]
        deflate = zlib.compressobj(level, zlib.DEFLATED, zlib.MAX_WBITS, 9, strategy)
        return deflate.compress(lines.data) + deflate.flush()

    return encode


def ways() -> Iterator[tuple[str, Callable[[Pixels], bytes]]]:
    """Every way that is compared."""
    for level in (1, 3, 6, 9):
        yield f"Pillow, level {level}", pillow(level)
    for name, filter_ in FILTERS.items():
        for strategy, number in STRATEGIES.items():
            yield f"filter {name}, level 1, {strategy}", plain(filter_, 1, number)
        yield f"filter {name}, level 6, default", plain(filter_, 6, zlib.Z_DEFAULT_STRATEGY)


def measured(encode: Callable[[], bytes]) -> tuple[float, int]:
    """Median CPU milliseconds, and the bytes."""
    times, size = [], 0
    for _ in range(REPEATS):
        began = thread_time()
        size = len(encode())
        times.append((thread_time() - began) * 1000)
    return median(times), size


def compare(kind: str, pictures: Sequence[Pixels], ours: Sequence[Callable[[], bytes]]) -> None:
    """Print one table."""
    sys.stdout.write(f"\n{kind}, {SIDE} x {SIDE}, {len(pictures)} of them\n")
    rows = [("this writer", [measured(encode) for encode in ours])]
    for name, encode in ways():
        rows.append((name, [measured(partial(encode, picture)) for picture in pictures]))
    for name, figures in rows:
        times, sizes = (median(column) for column in zip(*figures, strict=True))
        sys.stdout.write(f"  {name:30} {times:7.1f} ms {sizes / 1024:8.1f} KiB\n")


def encoders(
    kind: str, samples: Sequence[tuple[Image.Image, Pixels, Pixels]]
) -> list[Callable[[], bytes]]:
    """Our own writer on the samples of one kind."""
    far = Deadline(3600)
    if kind == "cutouts":
        return [partial(encode_cutout, photo, matte, far) for photo, _, matte in samples]
    if kind == "mattes":
        return [partial(encode_matte, matte, far) for _, _, matte in samples]
    return [partial(encode_flat, mask, far) for _, mask, _ in samples]


def main() -> None:
    """Compare all ways on each kind of picture."""
    paths = [Path(name) for name in sys.argv[1:]]
    providers = ["CPUExecutionProvider"]
    if paths:
        catalog = Catalog.load(folder=None, body_model=None, providers=providers, threads=1)
        samples = [of_photo(path, catalog) for path in paths]
    else:
        samples = [drawn()]
    for kind in ("masks", "mattes", "cutouts"):
        ours = encoders(kind, samples)
        compare(kind, [read(encode()) for encode in ours], ours)


if __name__ == "__main__":
    main()
