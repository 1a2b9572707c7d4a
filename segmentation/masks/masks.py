"""Makes masks of the photo's size from planes of the model's resolution."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from PIL import Image

from segmentation.masks.regions import Plane, Regions, quantise
from segmentation.model.engine import Tensor
from segmentation.photo.limits import Size

Box = tuple[float, float, float, float]
"""Left, top, right and bottom of the photo in a plane, in continuous coordinates."""
Mask = Plane
"""8-bit values, (height, width) of the upright photo."""

_ONE = 255  # stands for the weight 1, so that an 8-bit plane times a weight fits into 16 bits
_BAND = 1 << 17  # pixels to process at a time: the arrays of one band fit into a core's cache


def enlarge(plane: Plane, box: Box, size: Size, *, lanczos: bool = False) -> Mask:
    """Scale the part of a plane inside `box` to the photo's size: bilinearly, or with Lanczos."""
    resampling = Image.Resampling.LANCZOS if lanczos else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(plane).resize(size, resampling, box=box))


def body_masks(regions: Regions, box: Box, size: Size) -> tuple[Mask, Mask]:
    """Return the masks of the upper and the lower body, with the values 0 and 255.

    A pixel belongs to a region if the region's value there is greater than that of the other region
    and than the rest, which is 1 minus both. Both planes are enlarged bilinearly. Pillow enlarges
    only their width. The code here enlarges their height, which takes Pillow three quarters of its
    time.
    """
    width, height = size
    masks = np.zeros((height, width), np.uint8), np.zeros((height, width), np.uint8)
    planes = [_widen(plane, box, width) for plane in (regions.upper, regions.lower)]
    for rows, above, below, weight in _bands(box, size, len(regions.upper)):
        if not any(plane[above[0] : below[-1] + 1].any() for plane in planes):
            continue  # both regions are 0 in this band
        upper, lower = (plane[above] * (_ONE - weight) + plane[below] * weight for plane in planes)
        rest = _ONE * _ONE - np.minimum(upper + lower, _ONE * _ONE)
        np.negative((upper > np.maximum(lower, rest)).view(np.uint8), out=masks[0][rows])
        np.negative((lower > np.maximum(upper, rest)).view(np.uint8), out=masks[1][rows])
    return masks


def _widen(plane: Plane, box: Box, width: int) -> Plane:
    """Enlarge a plane to the photo's width. The number of its rows stays the same."""
    part = (box[0], 0, box[2], len(plane))
    size = (width, len(plane))
    return np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BILINEAR, box=part))


def _bands(
    box: Box, size: Size, rows: int
) -> Iterator[tuple[slice, npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.uint16]]]:
    """Yield bands of the photo's rows.

    With each band come, for each of its rows, the plane's rows above and below it, and the weight
    of the row below.
    """
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
    """Return the id of the most probable class of each pixel. The lower id wins a tie.

    The planes are enlarged one after another. So the memory is that of two planes of the photo's
    size for any number of classes. A class that is nowhere in the photo is skipped.
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
