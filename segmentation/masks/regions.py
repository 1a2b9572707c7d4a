"""Sums a network's class planes to planes of the regions: upper body, lower body, person."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from segmentation.masks.hip_line import above_hips
from segmentation.model.engine import Tensor
from segmentation.model.manifest import Classes, Manifest

Plane = npt.NDArray[np.uint8]
"""Shares of 0..1 as 0 to 255, (rows, columns), at the model's resolution."""


@dataclass(frozen=True, slots=True)
class Regions:
    """The probability of each region at the model's resolution."""

    upper: Plane
    lower: Plane
    person: Plane


def class_planes(output: Tensor, manifest: Manifest) -> Tensor:
    """Return the classes' probabilities, float32, (classes, rows, columns)."""
    planes = output[0] if output.ndim == 4 else output
    if manifest.output.layout == "NHWC":
        planes = np.moveaxis(planes, -1, 0)
    if manifest.output.kind == "probabilities":
        return planes
    powers = np.exp(planes - planes.max(axis=0))
    shares: Tensor = powers / powers.sum(axis=0)
    return shares


def find_regions(
    planes: Tensor, classes: Classes, box: tuple[float, float, float, float]
) -> Regions:
    """Sum the classes of each region. Divide classes that cover both regions at the hip line.

    Args:
        planes: Probabilities, (classes, rows, columns).
        classes: The classes of each region.
        box: The photo's rectangle in the planes, from `Placement.box`.
    """

    def total(names: tuple[str, ...]) -> Tensor:
        whole: Tensor = planes[classes.indices(names)].sum(axis=0, dtype=np.float32)
        return whole

    upper, lower = total(classes.upper), total(classes.lower)
    person = total(classes.person or classes.names[1:])
    if classes.split:
        both = total(classes.split)
        above = above_hips(person=person, face=total(classes.face), garment=both, box=box)
        upper, lower = upper + both * above, lower + both * (1 - above)
    return Regions(quantise(upper), quantise(lower), quantise(person))


def quantise(shares: Tensor) -> Plane:
    """Convert shares of 0..1 to 0 to 255."""
    plane: Plane = (np.clip(np.nan_to_num(shares), 0.0, 1.0) * 255 + 0.5).astype(np.uint8)
    return plane
