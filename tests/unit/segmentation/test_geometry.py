"""Where a photo lies in a tensor, and where the hips of a person lie in a plane."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segmentation.masks.hip_line import above_hips, hip_line
from segmentation.model.manifest import Input
from segmentation.model.placement import Placement, place

SIDES = st.integers(1, 20_000)
STRETCH = Input(height=512, width=256)
AREA = Input(height=384, width=256, fit="area")
PAD = Input(height=473, width=473, fit="pad")
AROUND = Input(height=473, width=473, fit="pad", pad_place="around")


def test_stretch_fills_the_input() -> None:
    """Whatever the photo's aspect."""
    assert place(STRETCH, 4000, 30) == Placement(256, 512, 0, 0, 256, 512)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1000, 1500), Placement(256, 384, 0, 0, 256, 384)),
        ((1500, 1000), Placement(384, 256, 0, 0, 384, 256)),
        ((1000, 1000), Placement(320, 320, 0, 0, 320, 320)),
        ((100_000, 1), Placement(896, 96, 0, 0, 896, 96)),
    ],
)
def test_area_keeps_the_aspect_and_the_number_of_pixels(
    size: tuple[int, int], expected: Placement
) -> None:
    """Each side a multiple of 32; a strip is squeezed to eight to one."""
    assert place(AREA, *size) == expected


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((473, 473), Placement(473, 473, 0, 0, 473, 473)),
        ((946, 400), Placement(473, 473, 0, 136, 473, 200)),
        ((400, 946), Placement(473, 473, 136, 0, 200, 473)),
        ((10_000, 1), Placement(473, 473, 0, 236, 473, 1)),
    ],
)
def test_pad_keeps_the_aspect_inside_a_border(size: tuple[int, int], expected: Placement) -> None:
    """The border evenly on both sides."""
    assert place(AROUND, *size) == expected


def test_pad_at_the_end_begins_at_the_corner() -> None:
    """The border at the right and the bottom."""
    assert place(PAD, 946, 400) == Placement(473, 473, 0, 0, 473, 200)


@given(width=SIDES, height=SIDES, expected=st.sampled_from([STRETCH, AREA, PAD, AROUND]))
def test_a_photo_lies_inside_its_tensor(width: int, height: int, expected: Input) -> None:
    """And the way back from any output lies inside the output."""
    at = place(expected, width, height)
    assert 0 <= at.left <= at.left + at.inner_width <= at.width
    assert 0 <= at.top <= at.top + at.inner_height <= at.height
    assert at.width * at.height <= 1.5 * expected.width * expected.height
    for corners in (False, True):
        left, top, right, bottom = at.box(119, 60, align_corners=corners)
        assert 0 <= left < right <= 119
        assert 0 <= top < bottom <= 60


def test_aligned_corners_put_the_outer_samples_on_the_outer_pixels() -> None:
    """118 gaps of samples for 472 gaps of pixels: four to one, from centre to centre."""
    left, _, right, _ = Placement(473, 473, 0, 0, 473, 473).box(119, 119, align_corners=True)
    assert left == pytest.approx(0.5 - 0.125)
    assert right == pytest.approx(118.5 + 0.125)


def test_the_hips_of_a_whole_person_are_at_their_share_of_the_height() -> None:
    """Hip joints are at 0.530 of the height."""
    assert hip_line(person=(10, 110), face=(12, 25), garment=(30, 90), visible=(0, 120)) == 57.0


def test_the_hips_of_a_cropped_person_are_measured_from_the_face() -> None:
    """Top to chin is 0.130 of the height: a head of 26 rows makes a body of 200."""
    line = hip_line(person=(10, 120), face=(15, 36), garment=(50, 120), visible=(0, 120))
    assert line == pytest.approx(10 + 0.47 * 200)


@pytest.mark.parametrize("person", [(0, 80), (40, 120)])
def test_a_person_who_touches_an_edge_isnt_whole(person: tuple[int, int]) -> None:
    """Their height isn't known then."""
    line = hip_line(person=person, face=None, garment=(50, 70), visible=(0, 120))
    assert line == 60.0


def test_without_a_face_a_garment_is_halved() -> None:
    """Cropped at both ends, or from behind."""
    assert hip_line(person=(0, 120), face=None, garment=(20, 100), visible=(0, 120)) == 60.0
    assert hip_line(person=None, face=None, garment=None, visible=(0, 120)) == 60.0


def test_two_people_side_by_side_have_a_line_each() -> None:
    """Columns without a person are between them."""
    person = np.zeros((100, 40), np.float32)
    person[10:90, 2:12] = 1
    person[50:90, 22:32] = 1
    nothing = np.zeros_like(person)
    share = above_hips(person=person, face=nothing, garment=person, box=(0.0, 0.0, 40.0, 100.0))
    assert share[:, 5].sum() == pytest.approx(10 + 0.47 * 80, abs=0.51)
    assert share[:, 25].sum() == pytest.approx(50 + 0.47 * 40, abs=0.51)
    assert (np.diff(share, axis=0) <= 0).all()
