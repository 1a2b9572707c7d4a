"""Photos of people as they are, and of places without people, and the split of them.

A folder holds `photos/ID.jpg`, `masks/ID.png` (255 person, 0 nobody, 128 unknown) and
`regions/ID.png` (where the mask is 255: 0 neither, 1 upper body, 2 lower body, 255 unknown). An ID
begins with its source. `index.json` names the photos without people, and `keypoints.json` has the
joints of some.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training.data import BACKGROUND, LOWER, NAMELESS, PERSON, SOMEBODY, UNKNOWN, UPPER, Pixels

# One photo in so many is held out, by source. The few with true masks and joints judge best.
_HELD = {"coco": 2, "penn": 4, "hseg": 4, "lspet": 3, "scene": 5}
_HELD_ELSE = 10
TRUE_MASKS = ("coco", "penn", "hseg")  # sources whose masks people drew


@dataclass(frozen=True)
class Scene:
    """One photo, upright RGB, H x W x 3, and the code of every pixel (see `data`), H x W."""

    name: str
    image: Pixels
    codes: Pixels
    joints: tuple[tuple[str, float, float], ...] = ()
    """Name, x and y of every visible joint, in pixels."""

    @property
    def source(self) -> str:
        """Where the photo is from: the first part of its name."""
        return self.name.split("_")[0]

    @property
    def empty(self) -> bool:
        """Whether nobody is there."""
        return is_empty(self.codes)


def is_empty(codes: Pixels) -> bool:
    """Whether nobody is there, not even perhaps."""
    return not (codes != NAMELESS).any()


def is_held(name: str, *, joints: bool = False) -> bool:
    """Whether a photo is for judging only: by hash, the same on every machine.

    Photos of COCO's that have joints are all for judging.
    """
    source = name.split("_")[0]
    if source == "coco" and joints:
        return True
    digest = hashlib.sha256(name.encode()).digest()
    return int.from_bytes(digest[:4]) % _HELD.get(source, _HELD_ELSE) == 0


def names(folder: Path, *, held: bool) -> list[str]:
    """The photos on one side of the split, in order."""
    known = _joints(folder)
    everything = sorted(path.stem for path in (folder / "regions").glob("*.png"))
    return [name for name in everything if is_held(name, joints=name in known) == held]


def read_scenes(folder: Path, *, held: bool) -> list[Scene]:
    """All photos on one side of the split."""
    known = _joints(folder)
    return [read_scene(folder, name, known.get(name, ())) for name in names(folder, held=held)]


def read_scene(folder: Path, name: str, joints: tuple[tuple[str, float, float], ...] = ()) -> Scene:
    """One photo."""
    image = np.asarray(Image.open(folder / "photos" / f"{name}.jpg").convert("RGB"))
    return Scene(name, image, read_codes(folder, name), joints)


def read_codes(folder: Path, name: str) -> Pixels:
    """The code of every pixel of a photo, H x W, without the photo."""
    mask = np.asarray(Image.open(folder / "masks" / f"{name}.png"))
    region = np.asarray(Image.open(folder / "regions" / f"{name}.png"))
    inside = np.full(256, SOMEBODY, np.uint8)
    inside[[0, 1, 2]] = NAMELESS + PERSON, NAMELESS + UPPER, NAMELESS + LOWER
    codes = np.where(mask == 255, inside[region], NAMELESS + BACKGROUND)
    return np.where(mask == 128, UNKNOWN, codes).astype(np.uint8)


_COCO = (
    "nose", "eye", "eye", "ear", "ear", "shoulder", "shoulder", "elbow", "elbow", "wrist",
    "wrist", "hip", "hip", "knee", "knee", "ankle", "ankle",
)  # fmt: skip
_LSP = (
    "ankle", "knee", "hip", "hip", "knee", "ankle", "wrist", "elbow", "shoulder", "shoulder",
    "elbow", "wrist", "neck", "top",
)  # fmt: skip
_ORDERS = {"COCO17": (_COCO, 2), "LSP14": (_LSP, 1)}  # the joints, and the least `v` that is seen


def _joints(folder: Path) -> dict[str, tuple[tuple[str, float, float], ...]]:
    """Every photo's visible joints, as far as the folder has any."""
    file = folder / "keypoints.json"
    if not file.exists():
        return {}
    known: dict[str, dict[str, Any]] = json.loads(file.read_text())
    joints = {}
    for name, said in known.items():
        order, seen = _ORDERS[said["order"]]
        found: list[tuple[str, float, float]] = []
        for flat in said["people"]:
            points: NDArray[np.float64] = np.reshape(flat, (-1, 3))
            for joint, (x, y, visible) in zip(order, points, strict=True):
                if visible >= seen:
                    found.append((joint, float(x), float(y)))
        joints[name] = tuple(found)
    return joints
