"""Judges a body model as it is shipped: `python -m training.evaluate --data DIR --people DIR`.

Every photo goes through `segmentation.segment`, as a job's photo does, and its masks are compared
with the truth at the photo's own size, all pixels of a kind in one pool. Only photos that the
training never sees are judged. `--worst` and `--before` draw sheets to look at.
"""

from __future__ import annotations

import argparse
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

from segmentation.catalog.catalog import DEFAULT, Entry, find_entries, open_entry
from segmentation.deadline import Deadline
from segmentation.model.engine import Engine
from segmentation.segment import ImageLimits, segment
from training import data, people
from training.data import LOWER, NAMELESS, PERSON, SOMEBODY, UNKNOWN, UPPER, Photo, Pixels
from training.kinds import KINDS, Pair, two_people
from training.people import Scene
from training.scores import Likeness, Tally
from training.sheet import Shown, portraits, sheet

_LIMITS = ImageLimits(max_bytes=1 << 26, max_pixels=1 << 26, formats=frozenset({"JPEG", "PNG"}))
_OUTPUTS = ("upper_body_mask", "lower_body_mask", "alpha_mask")
_SHOWN = 20  # photos of each kind on a sheet


@dataclass
class Judge:
    """A model, what it did with each photo, and how long its network took."""

    model: Engine
    network_ms: list[float] = field(default_factory=list)

    def guess(self, image: Pixels) -> Pixels:
        """Classes of a photo's pixels by the model's masks, H x W."""
        result = segment(
            encoded(image), model=self.model, outputs=_OUTPUTS, limits=_LIMITS,
            deadline=Deadline(60),
        )  # fmt: skip
        upper, lower, person = (
            np.asarray(Image.open(io.BytesIO(result.files[name]))) >= 128 for name in _OUTPUTS
        )
        classes = np.where(person, PERSON, 0).astype(np.uint8)
        classes[upper] = UPPER
        classes[lower] = LOWER
        self.network_ms.append(result.timings_ms["segment"])
        return classes


@dataclass(frozen=True)
class Case:
    """One photo of the table: how well it came out, from 0 to 1, and what to draw."""

    score: float
    name: str
    image: Pixels
    classes: Pixels
    truth: Pixels


def encoded(image: Pixels) -> bytes:
    """The image as a PNG file: what is judged is the model, not a second JPEG's artefacts."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG", compress_level=1)
    return file.getvalue()


def judge_people(judge: Judge, scenes: Iterable[Scene]) -> tuple[str, list[Case]]:
    """Person IoU, and joints in the right mask."""
    pool, cases = Likeness(), []
    for scene in scenes:
        classes, one = judge.guess(scene.image), Likeness()
        pool.add(classes, scene)
        one.add(classes, scene)
        right = 1 - (one.either - one.both) / scene.codes.size  # IoU would show but tiny people
        cases.append(Case(right, scene.name, scene.image, classes, _classes(scene)))
    joints = f" joints {pool.placed:.3f} of {pool.joints}" if pool.joints else ""
    return f"{len(cases)} photos, person {pool.iou:.3f}{joints}", cases


def judge_places(judge: Judge, scenes: Iterable[Scene]) -> tuple[str, list[Case]]:
    """Share of pixels that were found where nobody is."""
    pool, cases = Tally(), []
    for scene in scenes:
        classes, nobody = judge.guess(scene.image), np.zeros_like(scene.codes)
        pool.add(classes, nobody)
        cases.append(
            Case(1 - float(np.mean(classes > 0)), scene.name, scene.image, classes, nobody)
        )
    upper, lower, person = 100 * pool.share
    found = f"found: person {person:.2f} % (upper {upper:.2f}, lower {lower:.2f})"
    return f"{len(cases)} photos, {found}", cases


def judge_fashion(judge: Judge, photos: Iterable[Photo]) -> tuple[str, list[Case]]:
    """IoU of upper, lower and person."""
    pool, cases = Tally(), []
    for photo in photos:
        classes, one = judge.guess(photo.image), Tally()
        pool.add(classes, photo.truth)
        one.add(classes, photo.truth)
        cases.append(Case(float(one.iou.mean()), photo.number, photo.image, classes, photo.truth))
    upper, lower, person = pool.iou
    return f"{len(cases)} photos, upper {upper:.3f} lower {lower:.3f} person {person:.3f}", cases


def _classes(scene: Scene) -> Pixels:
    """A scene's codes as classes to draw; what isn't known is drawn as a person elsewhere."""
    table = np.zeros(256, np.uint8)
    table[[NAMELESS + PERSON, SOMEBODY, UNKNOWN]] = PERSON
    table[[NAMELESS + UPPER, NAMELESS + LOWER]] = UPPER, LOWER
    drawn: Pixels = table[scene.codes]
    return drawn


def table(
    judge: Judge, scenes: list[Scene], photos: list[Photo]
) -> Iterator[tuple[str, str, list[Case]]]:
    """Each kind's name, its figures and its photos."""
    there = [scene for scene in scenes if not scene.empty]
    for kind, sources in (
        ("people as they are", ("coco",)),
        ("street, portraits", ("penn", "hseg")),
        ("teachers' labels", ("s40", "lspet")),
    ):
        yield kind, *judge_people(judge, (scene for scene in there if scene.source in sources))
    yield "places, nobody", *judge_places(judge, (scene for scene in scenes if scene.empty))
    yield "street fashion", *judge_fashion(judge, photos)


def pairs(photos: list[Photo], kind: str) -> Iterator[Pair]:
    """Every photo of street fashion in another kind, with its truth."""
    if kind == "two_people":
        for number, photo in enumerate(photos):
            yield two_people(photo, photos[(number + 1) % len(photos)])
        return
    for photo in photos:
        yield KINDS[kind](photo)


def report(kind: str, tally: Tally) -> str:
    """One line: the kind's IoU, or what was found where there is nobody."""
    if kind.startswith("background"):
        upper, lower, person = 100 * tally.share
        return f"{kind:20} found: upper {upper:.3f} % lower {lower:.3f} % person {person:.3f} %"
    lower = f"{tally.iou[1]:.3f}"
    true = tally.truth[1] / tally.pixels
    if true < 0.01:  # an IoU of next to nothing says little
        lower = f"{100 * tally.share[1]:.2f} % of pixels ({100 * true:.2f} % true)"
    return f"{kind:20} upper {tally.iou[0]:.3f} person {tally.iou[2]:.3f} lower {lower}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the photos, judge, print, draw."""
    options = _options(arguments)
    numbers = [n for n in data.numbers(options.data) if options.all or data.is_validation(n)]
    photos = [data.read_photo(options.data, number) for number in numbers]
    scenes = people.read_scenes(options.people, held=True) if options.people else []
    judge = Judge(_engine(options.model, options))
    print(f"{options.model}, photos held out:")
    drawn: dict[str, list[Case]] = {}
    for kind, figures, cases in table(judge, scenes, photos):
        if cases:
            drawn[kind] = cases
            print(f"{kind:20} {figures}", flush=True)
    print(f"{'network':20} {median(judge.network_ms):.1f} ms, {options.threads} threads")
    if options.kinds:
        whole = [photo for photo in photos if data.is_labelled(photo)]
        for kind in (*KINDS, "two_people"):
            tally = Tally()
            for image, truth in pairs(whole, kind):
                tally.add(judge.guess(image), truth)
            print(report(kind, tally), flush=True)
    if options.worst:
        _draw_worst(drawn, options.worst)
    if options.before:
        before = Judge(
            _engine(options.against, argparse.Namespace(**{**vars(options), "weights": None}))
        )
        _draw_before(drawn, before, judge, options.before)


def _draw_worst(drawn: dict[str, list[Case]], folder: Path) -> None:
    """A sheet of each kind: photo, truth, masks."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind, cases in drawn.items():
        worst = sorted(cases, key=lambda case: case.score)[:_SHOWN]
        shown = [
            Shown(case.image, (case.truth, case.classes), f"{case.name} {case.score:.2f}")
            for case in worst
        ]
        sheet({"": shown}, columns=3).save(folder / _file_name(kind))


def _draw_before(drawn: dict[str, list[Case]], before: Judge, after: Judge, folder: Path) -> None:
    """A sheet of each kind and the portraits: photo, another model's masks, this model's."""
    folder.mkdir(parents=True, exist_ok=True)
    several = {
        kind: [(case.name, case.image, case.classes) for case in _spread(cases)]
        for kind, cases in drawn.items()
    }
    several["portraits"] = [("", image, after.guess(image)) for image in portraits()]
    for kind, triples in several.items():
        shown = [
            Shown(image, (before.guess(image), classes), name) for name, image, classes in triples
        ]
        sheet({"": shown}, columns=3).save(folder / _file_name(kind))


def _file_name(kind: str) -> str:
    """A sheet's file: a kind's words, without commas and quotes."""
    return "-".join(re.findall(r"\w+", kind)) + ".png"


def _spread(cases: list[Case]) -> list[Case]:
    return cases[:: max(len(cases) // _SHOWN, 1)][:_SHOWN]


def _engine(name: str, options: argparse.Namespace) -> Engine:
    entry = find_entries(None)[name]
    if options.weights:
        entry = _with_weights(entry, options)
    return open_entry(entry, providers=["CPUExecutionProvider"], threads=options.threads)


def _with_weights(entry: Entry, options: argparse.Namespace) -> Entry:
    """The packaged manifest with another file of weights, perhaps at another input size."""
    said = entry.manifest.input
    if options.size:
        height, width = (int(side) for side in options.size.split("x"))
        said = said.model_copy(update={"height": height, "width": width})
    manifest = entry.manifest.model_copy(update={"sha256": None, "input": said})
    return replace(entry, manifest=manifest, weights=options.weights)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="photos/, regions/, labels/")
    parser.add_argument("--people", type=Path, help="photos/, masks/, regions/ (training.people)")
    parser.add_argument("--all", action="store_true", help="every photo of --data")
    parser.add_argument("--kinds", action="store_true", help="other kinds made of --data too")
    parser.add_argument("--worst", type=Path, help="folder for the worst twenty of each kind")
    parser.add_argument("--before", type=Path, help="folder for twenty of each kind, two models")
    parser.add_argument("--against", default="body-regions-light", help="the other model")
    parser.add_argument("--model", default=DEFAULT, help="name of a packaged model")
    parser.add_argument("--weights", type=Path, help="another ONNX file for that manifest")
    parser.add_argument("--size", help="HEIGHTxWIDTH in place of the manifest's (with --weights)")
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
