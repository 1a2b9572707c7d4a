"""Makes a matte from the output of a background-removal network."""

import numpy as np

from segmentation.masks.regions import Plane, quantise
from segmentation.model.engine import Tensor
from segmentation.model.manifest import Output

_HALF = 0.5


def matte_plane(output: Tensor, description: Output) -> Plane:
    """Return the foreground's share of each sample as 0 to 255, (rows, columns).

    Args:
        output: (1, 1, rows, columns) or (1, rows, columns, 1). Axes of length 1 may be missing.
        description: The layout, and whether the plane needs a sigmoid or is stretched.
    """
    while output.ndim > 2:
        output = output[..., 0] if description.layout == "NHWC" and output.ndim == 3 else output[0]
    plane = output
    if description.sigmoid:
        plane = (1 / (1 + np.exp(-output))).astype(np.float32)
    return quantise(_stretch(plane) if description.stretch else plane)


def _stretch(plane: Tensor) -> Tensor:
    """Stretch a plane to the range 0..1 if it has both foreground and background.

    The networks were trained on photos with a subject, so their users stretch the output by its
    smallest and greatest value. In a photo without a subject that would turn noise into a mask. In
    a photo without background it would cut holes into the mask.
    """
    least, greatest = float(plane.min()), float(plane.max())
    if not least < _HALF <= greatest:
        return plane
    stretched: Tensor = (plane - least) / (greatest - least)
    return stretched
