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
from training.data import BACKGROUND, Floats, Landmarks, Photo, Pixels, landmarks
from training.scenes import Backgrounds, furnish

_OUTSIDE = 255  # code of canvas pixels that a warped photo does not reach


@dataclass(frozen=True)
class Figure:
    """A photo at three sizes, with its person's landmarks."""

    images: tuple[Image.Image, ...]
    mattes: tuple[Image.Image, ...]  # 255 where the person is, and what they carry
    codes: tuple[Image.Image, ...]
    marks: Landmarks

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the full size."""
        return self.images[0].size


def figure(photo: Photo) -> Figure:
    """Prepare a photo for warping at any scale without aliasing."""
    image = Image.fromarray(photo.image)
    matte = Image.fromarray((photo.classes != BACKGROUND).astype(np.uint8) * 255)
    codes = Image.fromarray(photo.codes)
    sizes = [(image.width // factor, image.height // factor) for factor in (1, 2, 4)]
    box, nearest = Image.Resampling.BOX, Image.Resampling.NEAREST
    return Figure(
        images=tuple(image.resize(size, box) for size in sizes),
        mattes=tuple(matte.resize(size, box) for size in sizes),
        codes=tuple(codes.resize(size, nearest) for size in sizes),
        marks=landmarks(photo),
    )


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


Framing = Callable[[np.random.Generator, Figure, int, int], View]


def shaken(rng: np.random.Generator, view: View) -> View:
    """The view flipped, turned and squeezed a little, seldom much."""
    chance = rng.random()
    turn = rng.normal(0, 3) if chance < 0.5 else rng.uniform(-25, 25) if chance > 0.85 else 0.0
    if chance > 0.99:
        turn = rng.uniform(-90, 90)
    squeeze = float(np.exp(rng.normal(0, 0.06)))
    if rng.random() < 0.06:
        squeeze *= float(rng.uniform(0.65, 1.1))
    return View(
        view.x, view.y, view.scale, squeeze, float(np.radians(turn)), bool(rng.random() < 0.5)
    )


def warp(subject: Figure, view: View, height: int, width: int) -> tuple[Pixels, Floats, Pixels]:
    """A photo on the canvas: its pixels, its matte from 0 to 1, its codes.

    The codes are `_OUTSIDE` where the photo ends.
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
    image = subject.images[level].transform(size, affine, rows, smooth)
    matte = subject.mattes[level].transform(size, affine, rows, smooth)
    codes = subject.codes[level].transform(size, affine, rows, fillcolor=_OUTSIDE)
    return np.asarray(image), np.asarray(matte, np.float32) / 255, np.asarray(codes)


@dataclass(frozen=True)
class Studio:
    """Composes samples from figures and backgrounds."""

    figures: Sequence[Figure]
    backgrounds: Backgrounds

    def sample(self, rng: np.random.Generator, height: int, width: int) -> tuple[Pixels, Pixels]:
        """One image, H x W x 3, and its codes, H x W."""
        image, codes = self._compose(rng, height, width)
        if rng.random() < 0.10:
            image, codes = occluded(rng, image, codes, self.backgrounds)
        return light.varied(rng, image), codes

    def _compose(self, rng: np.random.Generator, height: int, width: int) -> tuple[Pixels, Pixels]:
        kind = rng.random()
        if kind < 0.08:
            return self._empty(rng, height, width)
        framing = whole if kind < 0.68 else part
        if kind < 0.86:
            canvas = self._scene(rng, framing, height, width)
            if rng.random() < 0.08:
                canvas = self._join(rng, canvas, small)
            return canvas
        canvas = self._empty(rng, height, width)
        framing = (whole, part, small, small)[int(rng.integers(4))]
        if kind < 0.93:
            return self._join(rng, canvas, framing)
        for _ in range(int(rng.integers(2, 4))):
            canvas = self._join(rng, canvas, small)
        return canvas

    def _empty(self, rng: np.random.Generator, height: int, width: int) -> tuple[Pixels, Pixels]:
        image = self.backgrounds.draw(rng, height, width)
        if rng.random() < 0.15:
            drawn = Image.fromarray(image)
            furnish(rng, drawn, int(height * rng.uniform(0.6, 1.0)))
            image = np.asarray(drawn)
        return image, np.zeros((height, width), np.uint8)

    def _any(self, rng: np.random.Generator) -> Figure:
        return self.figures[int(rng.integers(len(self.figures)))]

    def _scene(
        self, rng: np.random.Generator, framing: Framing, height: int, width: int
    ) -> tuple[Pixels, Pixels]:
        """A photo with its own background; beyond its edges a frame, or another background."""
        subject = self._any(rng)
        view = shaken(rng, framing(rng, subject, height, width))
        image, _, codes = warp(subject, view, height, width)
        outside = codes == _OUTSIDE
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
        subject = self._any(rng)
        view = shaken(rng, framing(rng, subject, *codes.shape))
        person, matte, pasted = warp(subject, view, *codes.shape)
        alpha = matte[..., None]
        lit = person.astype(np.float32) * rng.uniform(0.75, 1.2)
        mixed = image * (1 - alpha) + np.clip(lit, 0, 255) * alpha
        front = (matte > 0.5) & (pasted != _OUTSIDE)
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
