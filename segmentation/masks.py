"""From planes at the model's resolution to masks of the upright photo's own size."""

from __future__ import annotations

import numpy as np
from PIL import Image

from segmentation.model import Tensor
from segmentation.photo import Size
from segmentation.regions import Plane, Regions, quantise

Box = tuple[float, float, float, float]
Mask = Plane
"""8-bit, (height, width) of the upright photo."""


def enlarge(plane: Plane, box: Box, size: Size, *, lanczos: bool = False) -> Mask:
    """The part of a plane inside `box`, at the photo's size; bilinear unless told otherwise."""
    way = Image.Resampling.LANCZOS if lanczos else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(plane).resize(size, way, box=box))


def body_masks(regions: Regions, box: Box, size: Size) -> tuple[Mask, Mask]:
    """Upper and lower mask, 0 or 255: wherever that region outweighs the other and all the rest."""
    upper, lower = enlarge(regions.upper, box, size), enlarge(regions.lower, box, size)
    # What is neither. It can't be less than 0: rounding is caught by the saturation at 255.
    rest = (
        255
        - np.maximum(upper, lower)
        - np.minimum(np.minimum(upper, lower), 255 - np.maximum(upper, lower))
    )
    return _binary(upper > np.maximum(lower, rest)), _binary(lower > np.maximum(upper, rest))


def seg_map(planes: Tensor, box: Box, size: Size) -> Mask:
    """Class ids: each class's plane enlarged in turn, the largest kept.

    Two planes of the photo's size are held whatever the number of classes; a class that is nowhere
    costs nothing. Ties, and what belongs to nobody, go to the lower id.
    """
    width, height = size
    ids = np.zeros((height, width), np.uint8)
    best = np.zeros((height, width), np.uint8)
    for index, shares in enumerate(planes):
        plane = quantise(shares)
        if not plane.any():
            continue
        full = enlarge(plane, box, size)
        better = full > best
        ids[better] = index
        np.maximum(best, full, out=best)
    return ids


def _binary(mask: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> Mask:
    return np.negative(mask.view(np.uint8))  # 1 wraps round to 255
