"""The hip line: where a dress ends being upper body and begins being lower body.

By the body's proportions (Drillis and Contini 1966, as in Winter, Biomechanics and Motor Control):
the hip joint is at 0.530 of the height and the chin at 0.870, measured from the floor. So, for each
person, from the first of these that can be seen:

1. The person is whole in the photo: 0.470 of their height below their top.
2. The face is visible: 0.470 / 0.130 = 3.6 heads below their top, a head being top to chin.
3. Neither: the middle of the garment.

People are told apart by the columns between them where nobody is; people who overlap share a line.
The rules assume that people stand: on someone seated or lying the line is too low.
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
    """The share of each sample that is above its person's hip line, 0 to 1, (rows, columns).

    Args:
        person: Share of anybody in each sample, (rows, columns).
        face: Share of faces, of the same shape.
        garment: Share of what is to be divided, of the same shape.
        box: The photo's rectangle in the planes, as of `Placement.box`.
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
    """The row of the hips; each argument is the first row and the row after the last."""
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
    """The runs of columns in which there is somebody."""
    columns = np.concatenate(([False], present.any(axis=0), [False]))
    edges = np.flatnonzero(columns[1:] != columns[:-1])
    return (slice(begin, end) for begin, end in edges.reshape(-1, 2).tolist())
