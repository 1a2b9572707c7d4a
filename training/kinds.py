"""Photos of other kinds, made from labelled ones by named transforms, the truth along with them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter

from training.data import BACKGROUND, Landmarks, Photo, Pixels, landmarks
from training.scenes import emptied, grown, mirrored

Pair = tuple[Pixels, Pixels]
"""An image, H x W x 3, and its classes, H x W."""


def plain(photo: Photo) -> Pair:
    """The photo as it is."""
    return photo.image, photo.truth


def _rows(photo: Photo, marks: Landmarks, end: float) -> Pair:
    """From a little above the head down to `end`, at most as wide as that is high."""
    top = max(int(marks.top - 0.35 * marks.head), 0)
    bottom = min(int(end), photo.truth.shape[0])
    half = (bottom - top) / 2
    centre = (marks.left + marks.right) / 2
    left, right = max(int(centre - half), 0), min(int(centre + half), photo.truth.shape[1])
    return photo.image[top:bottom, left:right], photo.truth[top:bottom, left:right]


def head_and_shoulders(photo: Photo) -> Pair:
    """A portrait: the head, and as much again below the neck."""
    marks = landmarks(photo)
    return _rows(photo, marks, marks.shoulder + marks.head)


def waist_up(photo: Photo) -> Pair:
    """Cut at the first row of the lower body."""
    marks = landmarks(photo)
    return _rows(photo, marks, marks.hip)


def knees_up(photo: Photo) -> Pair:
    """Cut half way between hip and feet."""
    marks = landmarks(photo)
    return _rows(photo, marks, (marks.hip + marks.bottom) / 2)


def small_in_landscape(photo: Photo) -> Pair:
    """The person, 45 % of a 3:2 frame's height, before their own background out of focus."""
    height, width = photo.truth.shape
    middle = (height - width * 2 // 3) // 2
    behind = Image.fromarray(emptied(photo)).crop((0, middle, width, middle + width * 2 // 3))
    frame = behind.resize((height * 3 // 2, height), Image.Resampling.BICUBIC)
    frame = frame.filter(ImageFilter.GaussianBlur(12))
    size = (int(width * 0.45), int(height * 0.45))
    place = (frame.width * 2 // 3 - size[0] // 2, height - size[1] - height // 12)
    matte = Image.fromarray((photo.classes != BACKGROUND).astype(np.uint8) * 255)
    person = Image.fromarray(photo.image).resize(size, Image.Resampling.LANCZOS)
    frame.paste(person, place, matte.resize(size, Image.Resampling.BOX))
    truth = Image.new("L", frame.size)
    truth.paste(Image.fromarray(photo.truth).resize(size, Image.Resampling.NEAREST), place)
    return np.asarray(frame), np.asarray(truth)


def turned(photo: Photo) -> Pair:
    """Turned by 15 degrees; the corners show the photo's edge colour, blurred."""
    image = Image.fromarray(photo.image)
    edge = tuple(int(part) for part in photo.image[:, [0, -1]].mean((0, 1)))
    turned_image = image.rotate(15, Image.Resampling.BICUBIC, fillcolor=edge)
    turned_truth = Image.fromarray(photo.truth).rotate(15, Image.Resampling.NEAREST)
    return np.asarray(turned_image), np.asarray(turned_truth)


def dark(photo: Photo) -> Pair:
    """A quarter of the light."""
    return (photo.image * 0.25).astype(np.uint8), photo.truth


def grey(photo: Photo) -> Pair:
    """Black and white."""
    return np.asarray(Image.fromarray(photo.image).convert("L").convert("RGB")), photo.truth


def blurred(photo: Photo) -> Pair:
    """Out of focus by a radius of four pixels."""
    image = Image.fromarray(photo.image).filter(ImageFilter.GaussianBlur(4))
    return np.asarray(image), photo.truth


def two_people(photo: Photo, other: Photo) -> Pair:
    """Two photos side by side in one frame."""
    height = min(photo.truth.shape[0], other.truth.shape[0])
    images = [one.image[-height:] for one in (photo, other)]
    truths = [one.truth[-height:] for one in (photo, other)]
    return np.concatenate(images, 1), np.concatenate(truths, 1)


def background_filled(photo: Photo) -> Pair:
    """Nobody: the person is filled in from around."""
    return emptied(photo), np.zeros_like(photo.truth)


def background_mirrored(photo: Photo) -> Pair:
    """Nobody: the person's columns are replaced by what stands beside them, mirrored."""
    empty = mirrored(photo.image, grown(photo.classes != BACKGROUND, 8))
    return empty, np.zeros_like(photo.truth)


KINDS: dict[str, Callable[[Photo], Pair]] = {
    kind.__name__: kind
    for kind in (
        plain, head_and_shoulders, waist_up, knees_up, small_in_landscape, turned, dark, grey,
        blurred, background_filled, background_mirrored,
    )
}  # fmt: skip
