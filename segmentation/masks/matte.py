"""From a background-removal network's output to a matte."""

import numpy as np

from segmentation.masks.regions import Plane, quantise
from segmentation.model.engine import Tensor
from segmentation.model.manifest import Output

_HALF = 0.5


def matte_plane(output: Tensor, said: Output) -> Plane:
    """The foreground's share as 0 to 255, (rows, columns).

    Args:
        output: (1, 1, rows, columns), or without the axes of one; NHWC likewise.
        said: Whether it needs a sigmoid, and whether it is stretched to its own range.
    """
    while output.ndim > 2:
        output = output[..., 0] if said.layout == "NHWC" and output.ndim == 3 else output[0]
    plane = output
    if said.sigmoid:
        plane = (1 / (1 + np.exp(-output))).astype(np.float32)
    return quantise(_stretched(plane) if said.stretch else plane)


def _stretched(plane: Tensor) -> Tensor:
    """The plane over its own range, where it has both foreground and background.

    The networks were trained on photos with a subject, and their users stretch by the least and
    greatest value. Without a subject the greatest value is small, and a stretch would make a mask
    of noise; without a background the least is large, and it would cut holes.
    """
    least, greatest = float(plane.min()), float(plane.max())
    if not least < _HALF <= greatest:
        return plane
    stretched: Tensor = (plane - least) / (greatest - least)
    return stretched
