"""The hip line divides a garment such as a dress between upper and lower body.

The body's proportions are those of Drillis and Contini (1966), as printed in Winter, Biomechanics
and Motor Control: measured from the floor, the hip joint is at 0.530 of the height and the chin at
0.870. The hip line of a person is the first of these that applies:

1. The whole person is in the photo: 0.470 of the person's height below the top of the head.
2. The face is visible: 0.470 / 0.130 = 3.6 heads below the top of the head. A head is measured from
   its top to the chin.
3. Otherwise: the middle of the garment.

Two people count as separate if there are columns without a person between them. People who overlap
share one hip line. The proportions hold for people who stand: if a person sits or lies, the line is
too low.
"""

from collections.abc import Iterator
from math import ceil, floor

import numpy as np

from segmentation.model.engine import Tensor

HIP = 1 - 0.530
CHIN = 1 - 0.870

_HALF = 0.5


def above_hips(
    *, person: Tensor, face: Tensor, garment: Tensor, box: tuple[float, float, float, float]
) -> Tensor:
    """Return the share of each sample that is above the hip line, 0 to 1, (rows, columns).

    Args:
        person: Share of people in each sample, (rows, columns).
        face: Share of faces, with the same shape.
        garment: Share of the garments to divide, with the same shape.
        box: The photo's rectangle in the planes, from `Placement.box`.
    """
    share = np.ones_like(person)
    centres = np.arange(len(person)) + 0.5
    for columns in _people(person > _HALF):
        line = hip_line(
            person=_extent(person[:, columns]),
            face=_extent(face[:, columns]),
            garment=_extent(garment[:, columns]),
            visible=(floor(box[1]), ceil(box[3])),
        )
        share[:, columns] = np.clip(line - centres + 0.5, 0, 1)[:, None]
    return share


def hip_line(
    *,
    person: tuple[int, int] | None,
    face: tuple[int, int] | None,
    garment: tuple[int, int] | None,
    visible: tuple[int, int],
) -> float:
    """Return the row of the hips. Each argument is a first row and the row after the last."""
    if person is not None and visible[0] < person[0] and person[1] < visible[1]:
        return person[0] + HIP * (person[1] - person[0])
    if person is not None and face is not None:
        return person[0] + HIP / CHIN * (face[1] - person[0])
    top, bottom = garment or visible
    return (top + bottom) / 2


def _extent(plane: Tensor) -> tuple[int, int] | None:
    rows = np.flatnonzero((plane > _HALF).any(axis=1))
    return (int(rows[0]), int(rows[-1]) + 1) if rows.size else None


def _people(present: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> Iterator[slice]:
    """Return the ranges of adjacent columns that contain a person."""
    columns = np.concatenate(([False], present.any(axis=0), [False]))
    edges = np.flatnonzero(columns[1:] != columns[:-1])
    return (slice(begin, end) for begin, end in edges.reshape(-1, 2).tolist())
