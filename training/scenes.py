"""Backgrounds without people: photos with their person filled in, and rooms that are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from training.data import BACKGROUND, Floats, Photo, Pixels

# scikit-image's bundled pictures that show no person.
_PICTURES = (
    "brick.png", "cell.png", "chelsea.png", "coffee.png", "coins.png", "color.png", "grass.png",
    "gravel.png", "horse.png", "hubble_deep_field.jpg", "ihc.png", "moon.png",
    "motorcycle_left.png", "page.png", "retina.jpg", "rocket.jpg", "text.png",
)  # fmt: skip


def grown(mask: NDArray[np.bool_], pixels: int) -> NDArray[np.bool_]:
    """The mask and about everything that is at most `pixels` away from it."""
    picture = Image.fromarray(mask.astype(np.uint8) * 255)
    return np.asarray(picture.filter(ImageFilter.BoxBlur(pixels))) > 0


def filled(image: Pixels, mask: NDArray[np.bool_]) -> Pixels:
    """The image with what the mask covers filled in from around it, coarse to fine."""
    known = (~mask).astype(np.float32)[..., None]
    return np.clip(_pull_push(image * known, known), 0, 255).astype(np.uint8)


def _pull_push(colour: Floats, weight: Floats) -> Floats:
    """Colours (already weighted) averaged to half the size until no hole is left, then back up."""
    height, width = weight.shape[:2]
    if min(height, width) == 1:
        mean = colour.sum((0, 1)) / max(float(weight.sum()), 1e-6)
        return np.where(weight > 0, colour / np.maximum(weight, 1e-6), mean).astype(np.float32)
    odd = ((0, height % 2), (0, width % 2), (0, 0))
    small = [np.pad(plane, odd) for plane in (colour, weight)]
    small = [p.reshape(p.shape[0] // 2, 2, p.shape[1] // 2, 2, -1).mean((1, 3)) for p in small]
    share = np.minimum(4 * small[1], 1) / np.maximum(small[1], 1e-6)
    coarse = _pull_push(small[0] * share, small[1] * share)
    planes = [
        np.asarray(
            Image.fromarray(coarse[..., c]).resize((width, height), Image.Resampling.BILINEAR)
        )
        for c in range(3)
    ]
    around = np.stack(planes, -1)
    mixed: Floats = (colour + (1 - weight) * around).astype(np.float32)
    return mixed


def mirrored(image: Pixels, mask: NDArray[np.bool_]) -> Pixels:
    """The image with the masked columns' span filled by its left and right sides, mirrored."""
    columns = np.flatnonzero(mask.any(0))
    width = mask.shape[1]
    if not columns.size or columns[0] + width - columns[-1] - 1 < width // 5:
        return filled(image, mask)
    left, right = int(columns[0]), int(columns[-1]) + 1
    split = left + (right - left) * left // (left + width - right)
    place = np.arange(width)
    from_left = _fold(place - left, left)
    from_right = width - 1 - _fold(right - 1 - place, width - right)
    source = np.where(place < split, from_left, from_right)
    source = np.where((place < left) | (place >= right), place, source)
    return np.asarray(image[:, source])


def _fold(beyond: NDArray[np.int_], size: int) -> NDArray[np.int_]:
    """Column `beyond` past an edge, reflected to and fro within the `size` columns before it."""
    turn = np.mod(beyond, max(2 * size, 1))
    return np.clip(np.where(turn < size, size - 1 - turn, turn - size), 0, None)


def emptied(photo: Photo, *, margin: int = 8) -> Pixels:
    """The photo without its person, filled in smoothly."""
    return filled(photo.image, grown(photo.classes != BACKGROUND, margin))


def sides(photo: Photo, *, least: int = 60) -> list[Pixels]:
    """What stands left and right of the person, as crops of the photo, where wide enough."""
    columns = np.flatnonzero(grown(photo.classes != BACKGROUND, 8).any(0))
    if not columns.size:
        return [photo.image]
    crops = [photo.image[:, : columns[0]], photo.image[:, columns[-1] + 1 :]]
    return [crop for crop in crops if crop.shape[1] >= least]


@dataclass(frozen=True)
class Backgrounds:
    """All there is to stand behind a person, and on its own in background-only samples."""

    pictures: Sequence[Pixels]
    crops: Sequence[Pixels]
    places: Sequence[Pixels] = ()
    """Photos of places without people."""

    def draw(self, rng: np.random.Generator, height: int, width: int) -> Pixels:
        """One background of the asked size, H x W x 3."""
        if self.places and rng.random() < 0.5:
            return covering(rng, self.places[int(rng.integers(len(self.places)))], height, width)
        kind = rng.random()
        if kind < 0.22:
            return _room(rng, height, width)
        if kind < 0.30:
            return _plain(rng, height, width)
        pool = self.crops if kind > 0.8 else self.pictures
        return covering(rng, pool[int(rng.integers(len(pool)))], height, width)


def gather(
    photos: Sequence[Photo], places: Sequence[Pixels], rng: np.random.Generator
) -> Backgrounds:
    """Make the pool from the photos, the places and the pictures that scikit-image brings."""
    pictures: list[Pixels] = []
    crops: list[Pixels] = []
    for photo in photos:
        mask = grown(photo.classes != BACKGROUND, int(rng.integers(4, 12)))
        fill = filled if rng.random() < 0.5 else mirrored
        size = (photo.image.shape[1] // 2, photo.image.shape[0] // 2)
        halves = [np.asarray(Image.fromarray(plane).resize(size)) for plane in (photo.image, mask)]
        pictures.append(fill(halves[0], halves[1]))
        crops += sides(photo)
    return Backgrounds(pictures + _bundled() * 4, crops + _bundled(), places)


def _bundled() -> list[Pixels]:
    import skimage

    folder = Path(skimage.__file__).parent / "data"
    return [np.asarray(Image.open(folder / name).convert("RGB")) for name in _PICTURES]


def covering(rng: np.random.Generator, image: Pixels, height: int, width: int) -> Pixels:
    """A random crop of the image that fills height x width, its aspect kept, perhaps flipped."""
    full_height, full_width = image.shape[:2]
    share = min(full_height / height, full_width / width) * rng.uniform(0.45, 1.0)
    box_height, box_width = height * share, width * share
    top = rng.uniform(0, full_height - box_height)
    left = rng.uniform(0, full_width - box_width)
    box = (left, top, left + box_width, top + box_height)
    crop = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR, box)
    pixels = np.asarray(crop)
    return np.asarray(pixels[:, ::-1]) if rng.random() < 0.5 else pixels


def _plain(rng: np.random.Generator, height: int, width: int) -> Pixels:
    """A studio wall: one colour running into another, with a little noise."""
    ends = rng.uniform(0, 255, (2, 3))
    if rng.random() < 0.5:
        ends[1] = ends[0] + rng.uniform(-40, 40)
    angle = rng.uniform(0, np.pi)
    y, x = np.mgrid[0:height, 0:width]
    ramp = np.cos(angle) * x / width + np.sin(angle) * y / height
    ramp = ((ramp - ramp.min()) / (np.ptp(ramp) + 1e-6))[..., None]
    grain = rng.normal(0, rng.uniform(0, 6), (height, width, 1))
    wall: Floats = ends[0] * (1 - ramp) + ends[1] * ramp + grain
    return np.clip(wall, 0, 255).astype(np.uint8)


def _room(rng: np.random.Generator, height: int, width: int) -> Pixels:
    """A wall, a floor and a few bodies of furniture in strong or muted colours."""
    canvas = Image.fromarray(_plain(rng, height, width))
    pen = ImageDraw.Draw(canvas)
    floor = int(height * rng.uniform(0.5, 0.9))
    pen.rectangle((0, floor, width, height), fill=_colour(rng))
    for _ in range(int(rng.integers(1, 7))):
        furnish(rng, canvas, floor)
    if rng.random() < 0.5:
        canvas = canvas.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.3, 2))))
    noise = rng.normal(0, rng.uniform(1, 8), (height, width, 1))
    return np.clip(np.asarray(canvas) + noise, 0, 255).astype(np.uint8)


def _colour(rng: np.random.Generator) -> tuple[int, int, int]:
    colour = rng.uniform(0, 255, 3)
    if rng.random() < 0.5:
        colour = colour.mean() + (colour - colour.mean()) * 0.3
    red, green, blue = (int(part) for part in colour)
    return red, green, blue


def furnish(rng: np.random.Generator, canvas: Image.Image, floor: int) -> None:
    """Draw one sofa, cupboard, lamp or cushion: rounded bodies with a lit and a shaded side."""
    width, height = canvas.size
    pen = ImageDraw.Draw(canvas)
    wide, high = int(width * rng.uniform(0.06, 0.6)), int(height * rng.uniform(0.08, 0.6))
    left = int(rng.uniform(-0.2, 1.0) * width)
    bottom = floor + int(rng.uniform(-0.3, 0.3) * height)
    colour = _colour(rng)
    dark = tuple(int(part * 0.6) for part in colour)
    light = tuple(min(int(part * 1.3) + 10, 255) for part in colour)
    box = (left, bottom - high, left + wide, bottom)
    if rng.random() < 0.2:
        pen.ellipse(box, fill=colour, outline=dark)
        return
    pen.rounded_rectangle(
        box, int(rng.uniform(0, 0.3) * min(wide, high)), fill=colour, outline=dark
    )
    if rng.random() < 0.6:  # a seat in front and two arms, or a door and its shadow
        seat = bottom - high // 2
        pen.rounded_rectangle((left, seat, left + wide, bottom), 3, fill=light)
        arm = max(wide // 8, 1)
        pen.rounded_rectangle((left, seat - high // 8, left + arm, bottom), 2, fill=dark)
        pen.rounded_rectangle(
            (left + wide - arm, seat - high // 8, left + wide, bottom), 2, fill=dark
        )
