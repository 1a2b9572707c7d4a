"""Training samples: people framed in every way, on every background, in every light.

Each sample is composed on one canvas: a background, then one to three layers, each a photo or a
person cut out of one, brought there by a single affine warp; then occluders; then light.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from training import light
from training.data import (
    BACKGROUND,
    LOWER,
    NAMELESS,
    OUTSIDE,
    SOMEBODY,
    UNKNOWN,
    Floats,
    Landmarks,
    Photo,
    Pixels,
    landmarks,
)  # fmt: skip
from training.people import TRUE_MASKS, Scene
from training.scenes import Backgrounds, furnish


@dataclass(frozen=True)
class Figure:
    """A photo with its person's landmarks."""

    image: Image.Image
    matte: Image.Image  # 255 where the person is, and what they carry
    codes: Image.Image
    marks: Landmarks

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.image.size

    def reduced(self, factor: int) -> tuple[Image.Image, Image.Image, Image.Image]:
        """Image, matte and codes at a fraction of the size, without aliasing."""
        if factor == 1:
            return self.image, self.matte, self.codes
        size = (self.image.width // factor, self.image.height // factor)
        box, nearest = Image.Resampling.BOX, Image.Resampling.NEAREST
        return (
            self.image.resize(size, box),
            self.matte.resize(size, box),
            self.codes.resize(size, nearest),
        )


def figure(photo: Photo) -> Figure:
    """Prepare a photo for warping at any scale without aliasing."""
    return _figure(photo.image, photo.classes != BACKGROUND, photo.codes, landmarks(photo))


def bystander(scene: Scene) -> Figure:
    """The same for a photo of people as they are; its marks are those of all people together."""
    present = (scene.codes != NAMELESS) & (scene.codes != UNKNOWN)
    rows, columns = np.nonzero(present)
    left, right = float(columns.min()), float(columns.max())
    top, bottom = float(rows.min()), float(rows.max())
    middle = (top + bottom) / 2  # who stands where isn't known, so neither are shoulders and hips
    marks = Landmarks(left, top, right, bottom, (top + middle) / 2, middle)
    return _figure(scene.image, present, scene.codes, marks)


def weight(name: str, codes: Pixels) -> float:
    """How often a photo of people is drawn: more often with true masks, and with legs."""
    counts = np.bincount(codes.ravel(), minlength=256)
    legs = counts[NAMELESS + LOWER] / max(counts[NAMELESS + 1 : SOMEBODY + 1].sum(), 1)
    return (2.0 if name.split("_")[0] in TRUE_MASKS else 1.0) * (1.0 + min(4 * float(legs), 1.0))


def _figure(image: Pixels, present: NDArray[np.bool_], codes: Pixels, marks: Landmarks) -> Figure:
    matte = Image.fromarray(present.astype(np.uint8) * 255)
    return Figure(Image.fromarray(image), matte, Image.fromarray(codes), marks)


@dataclass(frozen=True)
class View:
    """Which part of a photo the canvas shows: its centre, and photo pixels per canvas pixel."""

    x: float
    y: float
    scale: float
    squeeze: float = 1.0
    turn: float = 0.0
    flip: bool = False


def whole(rng: np.random.Generator, subject: Figure, height: int, width: int) -> View:
    """Nearly all of the photo, as it was taken."""
    full_width, full_height = subject.size
    scale = full_height / height * rng.uniform(0.72, 1.12)
    x = full_width * (0.5 + rng.normal(0, 0.06))
    return View(x, full_height * (0.5 + rng.normal(0, 0.04)), scale)


def part(rng: np.random.Generator, subject: Figure, height: int, width: int) -> View:
    """From the head, or below it, down to somewhere between shoulders and feet."""
    marks = subject.marks
    top, bottom, head = marks.top, marks.bottom, marks.head
    kind = rng.random()
    start = top - head * rng.uniform(0.0, 0.8)
    if kind < 0.30:  # head and shoulders
        end = marks.shoulder + head * rng.uniform(0.2, 1.6)
    elif kind < 0.55:  # to the waist
        end = marks.hip + head * rng.uniform(-0.8, 0.6)
    elif kind < 0.80:  # to the knees, or the calves
        end = marks.hip + (bottom - marks.hip) * rng.uniform(0.2, 0.9)
    else:  # any rows, often without a head
        start, end = np.sort(rng.uniform(top, bottom, 2))
    end = max(end, start + 0.12 * (bottom - top))
    scale = (end - start) / height * rng.uniform(0.8, 1.1)
    x = (marks.left + marks.right) / 2 + rng.normal(0, 0.15) * scale * width
    return View(x, (start + end) / 2, scale)


def small(rng: np.random.Generator, subject: Figure, height: int, width: int) -> View:
    """The whole person, anywhere on the canvas, a fifth to nine tenths of its height."""
    marks = subject.marks
    share = rng.uniform(0.2, 0.9)
    scale = (marks.bottom - marks.top) / (share * height)
    x = (marks.left + marks.right) / 2 + rng.uniform(-0.42, 0.42) * width * scale
    y = (marks.top + marks.bottom) / 2 + rng.uniform(-0.5, 0.5) * (1 - share) * height * scale
    return View(x, y, scale)


def window(rng: np.random.Generator, subject: Figure, height: int, width: int) -> View:
    """Any part of the photo, from all of it down to two fifths of its sides."""
    full_width, full_height = subject.size
    scale = max(full_width / width, full_height / height) * float(np.exp(rng.uniform(-0.9, 0.15)))
    marks = subject.marks
    towards = rng.random()  # the people, or nothing
    place = []
    for full, seen, middle in (
        (full_width, width * scale, (marks.left + marks.right) / 2),
        (full_height, height * scale, (marks.top + marks.bottom) / 2),
    ):
        reach = max(full - seen, 0.1 * seen) / 2
        anywhere = full / 2 + rng.uniform(-reach, reach)
        place.append(
            anywhere + towards * (np.clip(middle, full / 2 - reach, full / 2 + reach) - anywhere)
        )
    return View(place[0], place[1], scale)


Framing = Callable[[np.random.Generator, Figure, int, int], View]


def shaken(rng: np.random.Generator, view: View) -> View:
    """The view flipped, turned and squeezed a little, seldom much."""
    chance = rng.random()
    turn = rng.normal(0, 3) if chance < 0.5 else rng.uniform(-25, 25) if chance > 0.85 else 0.0
    if chance > 0.98:
        turn = rng.uniform(-180, 180)
    squeeze = float(np.exp(rng.normal(0, 0.06)))
    if rng.random() < 0.06:
        squeeze *= float(rng.uniform(0.65, 1.1))
    return View(
        view.x, view.y, view.scale, squeeze, float(np.radians(turn)), bool(rng.random() < 0.5)
    )


def warp(subject: Figure, view: View, height: int, width: int) -> tuple[Pixels, Floats, Pixels]:
    """A photo on the canvas: its pixels, its matte from 0 to 1, its codes.

    The codes are `OUTSIDE` where the photo ends.
    """
    level = 0 if view.scale < 1.6 else 1 if view.scale < 3.2 else 2
    scale = view.scale / 2**level
    across = scale * (-1 if view.flip else 1)
    down = scale / view.squeeze
    cos, sin = np.cos(view.turn), np.sin(view.turn)
    matrix = np.array([[across * cos, -across * sin], [down * sin, down * cos]])
    centre = np.array([view.x, view.y]) / 2**level
    offset = centre - matrix @ np.array([width / 2, height / 2])
    rows = (*matrix[0], offset[0], *matrix[1], offset[1])
    affine, smooth = Image.Transform.AFFINE, Image.Resampling.BILINEAR
    size = (width, height)
    pictures = subject.reduced(2**level)
    image, matte = (picture.transform(size, affine, rows, smooth) for picture in pictures[:2])
    codes = pictures[2].transform(size, affine, rows, fillcolor=OUTSIDE)
    return np.asarray(image), np.asarray(matte, np.float32) / 255, np.asarray(codes)


@dataclass(frozen=True)
class Studio:
    """Composes samples from figures and backgrounds."""

    figures: Sequence[Figure]
    """Of street fashion."""
    bystanders: Sequence[Callable[[], Figure]]
    """Of people as they are: read when they are drawn, since they are many."""
    weights: NDArray[np.float64]
    """How often each bystander is drawn; their sum is 1."""
    backgrounds: Backgrounds

    def sample(self, rng: np.random.Generator, height: int, width: int) -> tuple[Pixels, Pixels]:
        """One image, H x W x 3, and its codes, H x W."""
        if rng.random() < 0.06:
            image, codes = self._mosaic(rng, height, width)
        else:
            image, codes = self._compose(rng, height, width)
        if rng.random() < 0.10:
            image, codes = occluded(rng, image, codes, self.backgrounds)
        return light.varied(rng, image), codes

    def _mosaic(self, rng: np.random.Generator, height: int, width: int) -> tuple[Pixels, Pixels]:
        """Two samples beside each other, or one above the other."""
        axis = int(height < width)
        length = (height, width)[axis]
        first = int(length * rng.uniform(0.35, 0.65))
        sizes = [(part, width) if axis == 0 else (height, part) for part in (first, length - first)]
        halves = [self._compose(rng, *size) for size in sizes]
        image, codes = (np.concatenate(side, axis) for side in zip(*halves, strict=True))
        return image, codes

    def _compose(self, rng: np.random.Generator, height: int, width: int) -> tuple[Pixels, Pixels]:
        kind = rng.random()
        if kind < 0.16:
            return self._empty(rng, height, width)
        if kind < 0.62:
            canvas = self._scene(rng, self._bystander(rng), window, height, width)
            return self._join(rng, canvas, small) if rng.random() < 0.06 else canvas
        if kind < 0.90:
            framing = whole if rng.random() < 0.75 else part
            canvas = self._scene(rng, self._figure(rng), framing, height, width)
            return self._join(rng, canvas, small) if rng.random() < 0.08 else canvas
        canvas = self._empty(rng, height, width)
        if kind < 0.95:
            framing = (whole, part, small, small)[int(rng.integers(4))]
            return self._join(rng, canvas, framing)
        for _ in range(int(rng.integers(2, 5))):
            canvas = self._join(rng, canvas, small)
        return canvas

    def _empty(self, rng: np.random.Generator, height: int, width: int) -> tuple[Pixels, Pixels]:
        image = self.backgrounds.draw(rng, height, width)
        if rng.random() < 0.15:
            drawn = Image.fromarray(image)
            furnish(rng, drawn, int(height * rng.uniform(0.6, 1.0)))
            image = np.asarray(drawn)
        return image, np.zeros((height, width), np.uint8)

    def _figure(self, rng: np.random.Generator) -> Figure:
        return self.figures[int(rng.integers(len(self.figures)))]

    def _bystander(self, rng: np.random.Generator) -> Figure:
        if not self.bystanders:
            return self._figure(rng)
        return self.bystanders[int(rng.choice(len(self.bystanders), p=self.weights))]()

    def _scene(
        self, rng: np.random.Generator, subject: Figure, framing: Framing, height: int, width: int
    ) -> tuple[Pixels, Pixels]:
        """A photo with its own background; beyond its edges a frame, or another background."""
        view = shaken(rng, framing(rng, subject, height, width))
        image, _, codes = warp(subject, view, height, width)
        outside = codes == OUTSIDE
        if outside.any():
            image = np.where(outside[..., None], self._around(rng, image, outside), image)
        return image, np.where(outside, BACKGROUND, codes).astype(np.uint8)

    def _around(
        self, rng: np.random.Generator, image: Pixels, outside: NDArray[np.bool_]
    ) -> Pixels:
        kind = rng.random()
        if kind < 0.15:
            return np.full_like(image, 128)
        if kind < 0.4:
            return np.broadcast_to(rng.integers(0, 256, 3, np.uint8), image.shape)
        if kind < 0.7 and not outside.all():  # the photo's own edge columns, blurred
            columns = np.flatnonzero(~outside.all(0))
            nearest = np.clip(np.arange(outside.shape[1]), columns[0] + 2, columns[-1] - 2)
            return image[:, np.clip(nearest, 0, outside.shape[1] - 1)]
        return self.backgrounds.draw(rng, *outside.shape)

    def _join(
        self, rng: np.random.Generator, canvas: tuple[Pixels, Pixels], framing: Framing
    ) -> tuple[Pixels, Pixels]:
        """Paste a person, cut out of their photo, in front of what is there."""
        image, codes = canvas
        subject = self._figure(rng) if rng.random() < 0.6 else self._bystander(rng)
        view = shaken(rng, framing(rng, subject, *codes.shape))
        person, matte, pasted = warp(subject, view, *codes.shape)
        alpha = matte[..., None]
        lit = person.astype(np.float32) * rng.uniform(0.75, 1.2)
        mixed = image * (1 - alpha) + np.clip(lit, 0, 255) * alpha
        front = (matte > 0.5) & (pasted != OUTSIDE)
        return mixed.astype(np.uint8), np.where(front, pasted, codes).astype(np.uint8)


def occluded(
    rng: np.random.Generator, image: Pixels, codes: Pixels, backgrounds: Backgrounds
) -> tuple[Pixels, Pixels]:
    """Hide one or two patches behind posts, boxes and discs; what is hidden is background."""
    height, width = codes.shape
    mask = Image.new("L", (width, height))
    pen = ImageDraw.Draw(mask)
    for _ in range(int(rng.integers(1, 3))):
        wide, high = rng.uniform(0.04, 0.3) * width, rng.uniform(0.04, 0.3) * height
        if rng.random() < 0.2:
            high = height * 2.0
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        box = (x - wide / 2, y - high / 2, x + wide / 2, y + high / 2)
        (pen.ellipse if rng.random() < 0.4 else pen.rectangle)(box, fill=255)
    soft = np.asarray(mask.filter(ImageFilter.GaussianBlur(0.7)), np.float32)[..., None] / 255
    cover = backgrounds.draw(rng, height, width)
    mixed = image * (1 - soft) + cover * soft
    return mixed.astype(np.uint8), np.where(soft[..., 0] > 0.5, BACKGROUND, codes).astype(np.uint8)
