"""From planes at the model's resolution to masks of the upright photo's own size."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from PIL import Image

from segmentation.masks.regions import Plane, Regions, quantise
from segmentation.model.engine import Tensor
from segmentation.photo.decode import Size

Box = tuple[float, float, float, float]
"""Left, top, right, bottom of the photo in a plane, in continuous coordinates."""
Mask = Plane
"""8-bit, (height, width) of the upright photo."""

_ONE = 255  # a weight of 1, so that a weighted plane of 8 bits stays below 16
_BAND = 1 << 17  # pixels worked on at a time: the arrays of one band fit a core's cache


def enlarge(plane: Plane, box: Box, size: Size, *, lanczos: bool = False) -> Mask:
    """The part of a plane inside `box`, at the photo's size; bilinear unless told otherwise."""
    way = Image.Resampling.LANCZOS if lanczos else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(plane).resize(size, way, box=box))


def body_masks(regions: Regions, box: Box, size: Size) -> tuple[Mask, Mask]:
    """Upper and lower mask, 0 or 255: where that region outweighs the other and all the rest.

    Both planes are enlarged bilinearly and compared with what they leave of 1. Pillow's resize
    takes three quarters of its time for the columns, so only the rows are its own here.
    """
    width, height = size
    masks = np.zeros((height, width), np.uint8), np.zeros((height, width), np.uint8)
    planes = [_widened(plane, box, width) for plane in (regions.upper, regions.lower)]
    for rows, above, below, weight in _bands(box, size, len(regions.upper)):
        if not any(plane[above[0] : below[-1] + 1].any() for plane in planes):
            continue  # neither is anywhere near
        upper, lower = (plane[above] * (_ONE - weight) + plane[below] * weight for plane in planes)
        rest = _ONE * _ONE - np.minimum(upper + lower, _ONE * _ONE)
        np.negative((upper > np.maximum(lower, rest)).view(np.uint8), out=masks[0][rows])
        np.negative((lower > np.maximum(upper, rest)).view(np.uint8), out=masks[1][rows])
    return masks


def _widened(plane: Plane, box: Box, width: int) -> Plane:
    """A plane enlarged to the photo's width, its rows as they were."""
    part = (box[0], 0, box[2], len(plane))
    size = (width, len(plane))
    return np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BILINEAR, box=part))


def _bands(
    box: Box, size: Size, rows: int
) -> Iterator[tuple[slice, npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.uint16]]]:
    """Bands of the photo's rows: the plane's row above and below each, and the latter's weight."""
    width, height = size
    centres = box[1] + (np.arange(height) + 0.5) * (box[3] - box[1]) / height - 0.5
    centres = centres.clip(0, rows - 1)
    above = centres.astype(np.intp)
    below = np.minimum(above + 1, rows - 1)
    weight = np.rint((centres - above) * _ONE).astype(np.uint16)[:, None]
    step = max(1, _BAND // width)
    for top in range(0, height, step):
        band = slice(top, min(top + step, height))
        yield band, above[band], below[band], weight[band]


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
