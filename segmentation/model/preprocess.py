"""From an upright picture to the tensor that a model takes."""

import numpy as np
from PIL import Image

from segmentation.model.engine import Tensor
from segmentation.model.manifest import Input
from segmentation.model.placement import Placement

_DARKEST = 1e-6  # the least that `scale = "brightest"` divides by: a black photo stays finite
_GAP = 3.0  # far larger pictures are first reduced by whole boxes to this many times the size

_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "hamming": Image.Resampling.HAMMING,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


def preprocess(picture: Image.Image, said: Input, at: Placement) -> Tensor:
    """The input tensor: float32, (1, 3, height, width), or (1, height, width, 3) for NHWC.

    Args:
        picture: RGB, upright, of the photo's aspect.
        said: Colour order, scaling, mean, std, padding and filter.
        at: Where the photo lies in the tensor.
    """
    inner = picture.resize(
        (at.inner_width, at.inner_height),
        _FILTERS[said.resample],
        reducing_gap=None if said.resample == "box" else _GAP,  # a box is exact and quick itself
    )
    pixels = np.asarray(inner)
    tables = _tables(said, int(pixels.max()))
    tensor = np.empty((3, at.height, at.width), np.float32)
    tensor[:] = tables[:, said.pad_value, None, None]
    rows, columns = (
        slice(at.top, at.top + at.inner_height),
        slice(at.left, at.left + at.inner_width),
    )
    for channel, table in enumerate(tables):
        source = channel if said.colour == "RGB" else 2 - channel
        tensor[channel, rows, columns] = table[pixels[..., source]]
    if said.layout == "NHWC":
        tensor = np.ascontiguousarray(tensor.transpose(1, 2, 0))
    return tensor[None]


def _tables(said: Input, brightest: int) -> Tensor:
    """Each channel's 256 normalised values, (3, 256): a look-up is cheaper than the arithmetic."""
    scale = max(brightest, _DARKEST) if said.scale == "brightest" else said.scale
    mean, std = np.array(said.mean)[:, None], np.array(said.std)[:, None]
    tables: Tensor = ((np.arange(256) / scale - mean) / std).astype(np.float32)
    return tables
