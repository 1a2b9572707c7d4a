"""The shape of a model's input tensor, and a tensor of that shape without a photo."""

import numpy as np

from segmentation.model.engine import Tensor
from segmentation.model.manifest import Manifest
from segmentation.model.placement import place


def tensor_shape(manifest: Manifest) -> tuple[int, int, int, int]:
    """Return the shape of the input tensor for a photo of the manifest's width and height."""
    width, height = manifest.input.width, manifest.input.height
    placement = place(manifest.input, width, height)
    if manifest.input.layout == "NCHW":
        return 1, 3, placement.height, placement.width
    return 1, placement.height, placement.width, 3


def blank_tensor(manifest: Manifest) -> Tensor:
    """Return an input tensor of zeros."""
    return np.zeros(tensor_shape(manifest), np.float32)
