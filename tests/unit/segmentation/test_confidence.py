"""Groups that are hardly people are left out, whatever their shape."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segmentation.masks.confidence import without_unsure
from segmentation.model.manifest import Classes

NAMES = ("background", "person", "upper_body")


Plane = npt.NDArray[np.float32]


def _planes(person: Plane) -> Plane:
    """Planes of two person classes that share the probability of a person."""
    return np.stack([1 - person, person * 0.25, person * 0.75]).astype(np.float32)


def _flooded(present: npt.NDArray[np.bool_]) -> Iterator[list[tuple[int, int]]]:
    """Yield the samples of each group, found by filling from one of them."""
    left = set(zip(*np.nonzero(present), strict=True))
    while left:
        group, edge = [], [left.pop()]
        while edge:
            row, column = edge.pop()
            group.append((row, column))
            for down, right in ((-1, 0), (1, 0), (0, -1), (0, 1)):
                near = (row + down, column + right)
                if near in left:
                    left.remove(near)
                    edge.append(near)
        yield group


@given(st.integers(0, 2**32 - 1), st.integers(1, 24), st.integers(1, 24), st.floats(0.55, 0.95))
def test_what_is_left_is_what_another_labelling_leaves(
    seed: int, height: int, width: int, least: float
) -> None:
    """Noise has groups of every shape: spirals, rings, single samples."""
    person = np.random.default_rng(seed).random((height, width)).astype(np.float32)
    planes = _planes(person)
    before = planes.copy()
    kept = without_unsure(planes, Classes(names=NAMES, min_confidence=least))
    person = planes[1:].sum(axis=0)
    unsure = np.zeros(person.shape, np.bool_)
    for group in _flooded(person > 0.5):
        where = tuple(np.array(group).T)
        unsure[where] = person[where].astype(np.float64).mean() < least
    assert np.array_equal(planes, before)
    assert np.array_equal(kept[0], planes[0])
    assert np.array_equal(kept[1:], np.where(unsure, 0, planes[1:]))


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_nobody_and_everybody_stay_as_they_are(value: float) -> None:
    planes = _planes(np.full((3, 5), value, np.float32))
    kept = without_unsure(planes, Classes(names=NAMES, min_confidence=0.9))
    assert kept is planes
