"""Leaves out what a network takes for people without being sure of it.

Flags, coats on hooks and statues look like people in parts. A network gives them a probability a
little above one half, and people nearly 1. So the mean over a connected group tells them apart
better than any threshold for single samples.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from segmentation.model.engine import Tensor
from segmentation.model.manifest import Classes

_HALF = 0.5

Runs = tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.intp]]
"""The row, the first column and the column after the last of each run of samples, by rows."""


def without_unsure(planes: Tensor, classes: Classes) -> Tensor:
    """Return the planes without groups of samples that are hardly people.

    A group is the samples that are a person more likely than not and touch each other by a side.
    Its person classes become 0 if its mean probability of a person is below
    `classes.min_confidence`.

    Args:
        planes: Probabilities, (classes, rows, columns). They are not changed.
        classes: The classes of a person, and the least confidence.
    """
    people = classes.indices(classes.person or classes.names[1:])
    person = planes[people].sum(axis=0, dtype=np.float32)
    runs = _runs(person > _HALF)
    groups = _groups(runs, len(person))
    rows, begins, ends = runs
    sums = np.pad(person.cumsum(axis=1, dtype=np.float64), ((0, 0), (1, 0)))
    size = np.bincount(groups, weights=ends - begins)
    total = np.bincount(groups, weights=sums[rows, ends] - sums[rows, begins])
    unsure = (total < classes.min_confidence * size)[groups]
    if not unsure.any():
        return planes
    kept: Tensor = planes.copy()
    for row, begin, end in zip(rows[unsure], begins[unsure], ends[unsure], strict=True):
        kept[people, row, begin:end] = 0
    return kept


def _runs(present: npt.NDArray[np.bool_]) -> Runs:
    edges = np.diff(np.pad(present, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, begins = np.nonzero(edges == 1)
    return rows, begins, np.nonzero(edges == -1)[1]


def _groups(runs: Runs, height: int) -> npt.NDArray[np.intp]:
    """Return for each run a number that all runs of its group share (union by the lower number)."""
    parents = list(range(len(runs[0])))

    def root(run: int) -> int:
        while parents[run] != run:
            parents[run] = parents[parents[run]]
            run = parents[run]
        return run

    for one, other in _touching(runs, height):
        low, high = sorted((root(one), root(other)))
        parents[high] = low
    return np.array([root(run) for run in range(len(parents))], np.intp)


def _touching(runs: Runs, height: int) -> Iterator[tuple[int, int]]:
    """Yield the pairs of runs of adjacent rows that have a column in common."""
    begins, ends = runs[1].tolist(), runs[2].tolist()
    firsts = np.searchsorted(runs[0], np.arange(height + 1)).tolist()
    for (above, here), after in zip(pairwise(firsts), firsts[2:], strict=False):
        upper, lower = above, here
        while upper < here and lower < after:
            if begins[upper] < ends[lower] and begins[lower] < ends[upper]:
                yield upper, lower
            if ends[upper] < ends[lower]:
                upper += 1
            else:
                lower += 1
