"""Judges a body model as it is shipped: `python -m training.evaluate --data DIR [--sheet PNG]`.

Every photo goes through `segmentation.segment`, as a job's photo does, and its masks are compared
with the truth at the photo's own size, all pixels of a kind in one pool.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

from segmentation.catalog.catalog import DEFAULT, Entry, find_entries, open_entry
from segmentation.deadline import Deadline
from segmentation.model.engine import Engine
from segmentation.segment import ImageLimits, segment
from training import data
from training.data import LOWER, PERSON, UPPER, Photo, Pixels
from training.kinds import KINDS, Pair, two_people
from training.scores import Tally
from training.sheet import Shown, portraits, sheet

_LIMITS = ImageLimits(max_bytes=1 << 26, max_pixels=1 << 26, formats=frozenset({"JPEG", "PNG"}))
_OUTPUTS = ("upper_body_mask", "lower_body_mask", "alpha_mask")


@dataclass
class Judged:
    """One kind's figures, and its first two photos for the sheet."""

    tally: Tally
    shown: list[Shown]
    network_ms: list[float]


def guess(model: Engine, photo: bytes) -> tuple[Pixels, float]:
    """Classes of a photo's pixels by the model's masks, H x W, and the network's milliseconds."""
    result = segment(photo, model=model, outputs=_OUTPUTS, limits=_LIMITS, deadline=Deadline(60))
    upper, lower, person = (
        np.asarray(Image.open(io.BytesIO(result.files[name]))) >= 128 for name in _OUTPUTS
    )
    classes = np.where(person, PERSON, 0).astype(np.uint8)
    classes[upper] = UPPER
    classes[lower] = LOWER
    return classes, result.timings_ms["segment"]


def pairs(photos: list[Photo], kind: str) -> Iterator[Pair]:
    """Every photo in that kind, with its truth."""
    if kind == "two_people":
        for number, photo in enumerate(photos):
            yield two_people(photo, photos[(number + 1) % len(photos)])
        return
    for photo in photos:
        yield KINDS[kind](photo)


def judge(model: Engine, cases: Iterator[Pair]) -> Judged:
    """Run the model over all cases of a kind."""
    judged = Judged(Tally(), [], [])
    for image, truth in cases:
        classes, milliseconds = guess(model, encoded(image))
        judged.tally.add(classes, truth)
        judged.network_ms.append(milliseconds)
        if len(judged.shown) < 2:
            judged.shown.append(Shown(image, classes))
    return judged


def encoded(image: Pixels) -> bytes:
    """The image as a PNG file: what is judged is the model, not a second JPEG's artefacts."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG", compress_level=1)
    return file.getvalue()


def report(kind: str, judged: Judged) -> str:
    """One line: the kind's IoU, or what was found where there is nobody."""
    tally = judged.tally
    if kind.startswith("background"):
        upper, lower, person = 100 * tally.share
        return f"{kind:20} found: upper {upper:.3f} % lower {lower:.3f} % person {person:.3f} %"
    lower = f"{tally.iou[1]:.3f}"
    true = tally.truth[1] / tally.pixels
    if true < 0.01:  # an IoU of next to nothing says little
        lower = f"{100 * tally.share[1]:.2f} % of pixels ({100 * true:.2f} % true)"
    return f"{kind:20} upper {tally.iou[0]:.3f} person {tally.iou[2]:.3f} lower {lower}"


def main() -> None:
    """Read the photos, judge every kind, print, draw the sheet."""
    options = _options()
    numbers = data.numbers(options.data)
    if not options.all:
        numbers = [number for number in numbers if data.is_validation(number)]
    photos = [data.read_photo(options.data, number) for number in numbers]
    entry = find_entries(None)[options.model]
    if options.weights:
        entry = _with_weights(entry, options)
    model = open_entry(entry, providers=["CPUExecutionProvider"], threads=options.threads)
    whole = [photo for photo in photos if data.is_labelled(photo)]
    print(f"{options.model}: {len(photos)} photos, of other kinds {len(whole)}")
    shown: dict[str, list[Shown]] = {}
    for kind in options.kind or (*KINDS, "two_people"):
        judged = judge(model, pairs(photos if kind == "plain" else whole, kind))
        shown[kind] = judged.shown
        print(report(kind, judged), flush=True)
        if kind == "plain":
            print(f"{'':20} network {median(judged.network_ms):.1f} ms, {options.threads} threads")
    if options.sheet:
        shown["portraits"] = [
            Shown(image, guess(model, encoded(image))[0]) for image in portraits()
        ]
        sheet(shown).save(options.sheet)


def _with_weights(entry: Entry, options: argparse.Namespace) -> Entry:
    """The packaged manifest with another file of weights, perhaps at another input size."""
    said = entry.manifest.input
    if options.size:
        height, width = (int(side) for side in options.size.split("x"))
        said = said.model_copy(update={"height": height, "width": width})
    manifest = entry.manifest.model_copy(update={"sha256": None, "input": said})
    return replace(entry, manifest=manifest, weights=options.weights)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="photos/, regions/, labels/")
    parser.add_argument("--all", action="store_true", help="every photo, not the held-out tenth")
    parser.add_argument("--sheet", type=Path, help="draw two of each kind and the portraits here")
    parser.add_argument("--kind", action="append", help="only this kind (again for another)")
    parser.add_argument("--model", default=DEFAULT, help="name of a packaged model")
    parser.add_argument("--weights", type=Path, help="another ONNX file for that manifest")
    parser.add_argument("--size", help="HEIGHTxWIDTH in place of the manifest's (with --weights)")
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    main()
