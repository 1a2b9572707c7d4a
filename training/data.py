"""Photos with their class maps, and the split that keeps some of them for judging.

A data folder holds `photos/NNNN.jpg`, `regions/NNNN.png` (0 other, 1 upper body, 2 lower body) and
`labels/NNNN.png` (the 59 class ids of Clothing Co-Parsing), all of one size per number.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
Floats = NDArray[np.floating[Any]]

BACKGROUND, PERSON, UPPER, LOWER = range(4)
CARRIED = 4  # bags and wallets: background to the network, but cut out together with their owner
_CARRIED_LABELS = (2, 33, 56)

# CCP's label ids of each garment, a second thing to learn: what is a coat and what a dress decides
# which region it is. Ids that are not here belong to garment 0.
_GARMENTS = {
    "hair and hats": (19, 20),
    "skin": (41,),
    "shoes": (7, 12, 16, 21, 28, 32, 36, 39, 43, 58),
    "coats and jackets": (4, 10, 11, 13, 22, 24),
    "tops": (5, 6, 8, 23, 26, 38, 48, 49, 51, 54, 55),
    "dresses": (14, 35, 50),
    "trousers": (25, 27, 30, 31, 46),
    "skirts": (42,),
    "shorts": (40,),
    "legwear": (44, 45, 53),
    "bags": _CARRIED_LABELS,
    "accessories": (1, 3, 9, 15, 17, 18, 29, 34, 37, 47, 52, 57),
}
GARMENTS = 1 + len(_GARMENTS)

# A pixel's code is `garment * 4 + class`. Where no garment is known the garment is one more, and
# three codes stand alone.
NAMELESS = GARMENTS * 4
SOMEBODY = NAMELESS + 4  # a person, whose region isn't known
UNKNOWN = NAMELESS + 5  # perhaps a person: left out of the loss
OUTSIDE = 255  # where a photo ends

# Nearly the same photo twice: the second stays on the first one's side of the split.
_TWINS = {"0730": "0183", "0722": "0594", "0732": "0692", "0990": "0907"}

# A jacket or top labelled as lower body, or half a person left out: not learned from.
_MISLABELLED = {"0266", "0283", "0415", "0565", "0755", "0831", "0868"}


@dataclass(frozen=True)
class Photo:
    """One photo, upright RGB, H x W x 3, and the class and garment of every pixel, H x W each."""

    number: str
    image: Pixels
    classes: Pixels
    garments: Pixels

    @property
    def truth(self) -> Pixels:
        """The classes that the network is to give: what is carried counts as background."""
        return np.where(self.classes == CARRIED, BACKGROUND, self.classes).astype(np.uint8)

    @property
    def codes(self) -> Pixels:
        """Truth and garment in one number, `garment * 4 + class`: what a sample's pixels carry."""
        return (self.garments * 4 + self.truth).astype(np.uint8)


def numbers(folder: Path) -> list[str]:
    """Every photo's number, in order."""
    return sorted(path.stem for path in (folder / "photos").glob("*.jpg"))


def is_validation(number: str) -> bool:
    """The split `sha256-tenth`: a tenth of all numbers, by hash, the same on every machine."""
    digest = hashlib.sha256(_TWINS.get(number, number).encode()).digest()
    return int.from_bytes(digest[:4]) % 10 == 0


def is_learned(photo: Photo) -> bool:
    """Whether the photo is on the split's training side, and labelled well enough to learn from."""
    number = photo.number
    return not is_validation(number) and number not in _MISLABELLED and is_labelled(photo)


def read_photo(folder: Path, number: str) -> Photo:
    """Read one photo and merge its labels and regions into the network's classes."""
    image = np.asarray(Image.open(folder / "photos" / f"{number}.jpg").convert("RGB"))
    labels = np.asarray(Image.open(folder / "labels" / f"{number}.png"))
    regions = np.asarray(Image.open(folder / "regions" / f"{number}.png"))
    classes = np.where(labels > 0, PERSON, BACKGROUND).astype(np.uint8)
    classes[np.isin(labels, _CARRIED_LABELS)] = CARRIED
    classes[regions == 1] = UPPER
    classes[regions == 2] = LOWER
    garments = np.zeros(256, np.uint8)
    for garment, ids in enumerate(_GARMENTS.values(), start=1):
        garments[list(ids)] = garment
    return Photo(number, image, classes, garments[labels])


def is_labelled(photo: Photo) -> bool:
    """Whether both regions of the photo's person are there at all: a few label maps are empty."""
    return all(np.mean(photo.truth == region) > 0.005 for region in (UPPER, LOWER))


@dataclass(frozen=True)
class Landmarks:
    """Where the person is, in pixels of the photo."""

    left: float
    top: float
    right: float
    bottom: float
    shoulder: float  # first row of the upper body
    hip: float  # first row of the lower body

    @property
    def head(self) -> float:
        """Height of the head, or what passes for it where its labels are odd."""
        return max(self.shoulder - self.top, 30.0)


def landmarks(photo: Photo) -> Landmarks:
    """Measure a labelled photo."""
    rows, columns = np.nonzero(photo.classes)
    upper = np.flatnonzero((photo.classes == UPPER).sum(1) > 4)
    lower = np.flatnonzero((photo.classes == LOWER).sum(1) > 4)
    shoulder = float(upper[0])
    return Landmarks(
        left=float(columns.min()),
        top=float(rows.min()),
        right=float(columns.max()),
        bottom=float(rows.max()),
        shoulder=shoulder,
        hip=max(float(lower[0]), shoulder + 20),
    )
