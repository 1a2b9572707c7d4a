"""Pooled-pixel intersection over union, and the size that a photo has for the network."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from training.data import BACKGROUND, LOWER, NAMELESS, PERSON, UNKNOWN, UPPER, Pixels
from training.people import Scene

REGIONS = ("upper", "lower", "person")
_SIDE = 32  # the encoder's stride: every side is a multiple of it


def area_size(height: float, width: float, area: int) -> tuple[int, int]:
    """Height and width of about `area` pixels with the photo's aspect, in multiples of 32."""
    share = (area / (height * width)) ** 0.5
    sides = (max(round(side * share / _SIDE), 1) * _SIDE for side in (height, width))
    rows, columns = sides
    return rows, columns


@dataclass
class Tally:
    """Pixels in both, and in either, of guess and truth; one pool over all photos added."""

    both: NDArray[np.int64] = field(default_factory=lambda: np.zeros(3, np.int64))
    either: NDArray[np.int64] = field(default_factory=lambda: np.zeros(3, np.int64))
    found: NDArray[np.int64] = field(default_factory=lambda: np.zeros(3, np.int64))
    truth: NDArray[np.int64] = field(default_factory=lambda: np.zeros(3, np.int64))
    pixels: int = 0

    def add(self, guess: Pixels, truth: Pixels) -> None:
        """Count one photo's classes."""
        for place, (p, t) in enumerate(zip(_masks(guess), _masks(truth), strict=True)):
            self.both[place] += np.count_nonzero(p & t)
            self.either[place] += np.count_nonzero(p | t)
            self.found[place] += np.count_nonzero(p)
            self.truth[place] += np.count_nonzero(t)
        self.pixels += truth.size

    @property
    def iou(self) -> NDArray[np.float64]:
        """IoU of upper body, lower body and person."""
        return self.both / np.maximum(self.either, 1)

    @property
    def share(self) -> NDArray[np.float64]:
        """Share of all pixels that upper body, lower body and person were given."""
        return self.found / max(self.pixels, 1)

    def __str__(self) -> str:
        return " ".join(f"{name} {iou:.3f}" for name, iou in zip(REGIONS, self.iou, strict=True))


_RIGHT = {
    "shoulder": (UPPER,), "elbow": (UPPER,), "wrist": (UPPER,), "knee": (LOWER,),
    "nose": (BACKGROUND, PERSON),
}  # fmt: skip


@dataclass
class Likeness:
    """Of people as they are: the person's pixels, and visible joints in the right mask."""

    both: int = 0
    either: int = 0
    right: int = 0
    joints: int = 0

    def add(self, guess: Pixels, scene: Scene) -> None:
        """Count one photo; what isn't known to be a person or not is left out."""
        known = scene.codes != UNKNOWN
        found = (guess > 0) & known
        there = (scene.codes != NAMELESS) & known
        self.both += int(np.count_nonzero(found & there))
        self.either += int(np.count_nonzero(found | there))
        height, width = guess.shape
        for joint, x, y in scene.joints:
            if joint in _RIGHT and 0 <= x < width and 0 <= y < height:
                self.right += int(guess[int(y), int(x)] in _RIGHT[joint])
                self.joints += 1

    @property
    def iou(self) -> float:
        """Pooled-pixel IoU of the person."""
        return self.both / max(self.either, 1)

    @property
    def placed(self) -> float:
        """Share of the joints that are in the right mask."""
        return self.right / max(self.joints, 1)


def _masks(classes: Pixels) -> tuple[NDArray[np.bool_], ...]:
    return classes == UPPER, classes == LOWER, classes > 0
