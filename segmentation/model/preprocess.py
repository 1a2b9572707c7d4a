"""Makes the model's input tensor from an upright picture."""

import numpy as np
from PIL import Image

from segmentation.model.engine import Tensor
from segmentation.model.manifest import Input
from segmentation.model.placement import Placement

_MIN_BRIGHTEST = 1e-6  # for `scale = "brightest"`: a black photo must not divide by zero
_GAP = 3.0  # Pillow first reduces much larger pictures by whole boxes to this many times the size

_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "hamming": Image.Resampling.HAMMING,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


def preprocess(picture: Image.Image, target: Input, placement: Placement) -> Tensor:
    """Return the input tensor: float32, (1, 3, height, width), or (1, height, width, 3) for NHWC.

    Args:
        picture: RGB, upright, with the photo's aspect ratio.
        target: Colour order, scaling, mean, std, padding and filter.
        placement: Where the photo lies in the tensor.
    """
    inner = picture.resize(
        (placement.inner_width, placement.inner_height),
        _FILTERS[target.resample],
        reducing_gap=None if target.resample == "box" else _GAP,  # `box` is already exact and fast
    )
    pixels = np.asarray(inner)
    tables = _tables(target, int(pixels.max()))
    tensor = np.empty((3, placement.height, placement.width), np.float32)
    tensor[:] = tables[:, target.pad_value, None, None]
    rows, columns = (
        slice(placement.top, placement.top + placement.inner_height),
        slice(placement.left, placement.left + placement.inner_width),
    )
    for channel, table in enumerate(tables):
        source = channel if target.colour == "RGB" else 2 - channel
        tensor[channel, rows, columns] = table[pixels[..., source]]
    if target.layout == "NHWC":
        tensor = np.ascontiguousarray(tensor.transpose(1, 2, 0))
    return tensor[None]


def _tables(target: Input, brightest: int) -> Tensor:
    """Return the 256 normalised values of each channel, (3, 256): looking them up is faster."""
    scale = max(brightest, _MIN_BRIGHTEST) if target.scale == "brightest" else target.scale
    mean, std = np.array(target.mean)[:, None], np.array(target.std)[:, None]
    tables: Tensor = ((np.arange(256) / scale - mean) / std).astype(np.float32)
    return tables
