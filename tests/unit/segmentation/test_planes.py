"""Mattes, masks and their PNG."""

import io

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from segmentation.catalog.catalog import PACKAGED
from segmentation.deadline import Deadline
from segmentation.errors import DeadlineExceeded
from segmentation.masks.masks import body_masks, enlarge, seg_map
from segmentation.masks.matte import matte_plane
from segmentation.masks.png import encode_cutout, encode_flat, encode_matte
from segmentation.masks.regions import Regions, class_planes, quantise
from segmentation.model.manifest import Output, read_manifest
from tests.support.photos import Pixels, read

STRETCH = Output(kind="alpha", stretch=True)
GREY = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=40))


@pytest.mark.parametrize("level", [0.0, 0.3, 0.5, 1.0])
def test_a_constant_plane_is_left_as_it_is(level: float) -> None:
    """There is no range to divide by."""
    plane = matte_plane(np.full((1, 1, 8, 8), level, np.float32), STRETCH)
    assert np.unique(plane).tolist() == [round(level * 255 + 1e-9)]


def test_noise_without_a_subject_isnt_stretched() -> None:
    """An empty scene stays empty."""
    noise = np.random.default_rng(1).uniform(0, 0.2, (1, 1, 8, 8)).astype(np.float32)
    assert matte_plane(noise, STRETCH).max() <= 51


def test_a_subject_without_a_background_isnt_stretched() -> None:
    """A close-up gets no holes."""
    full = np.random.default_rng(1).uniform(0.9, 1, (1, 1, 8, 8)).astype(np.float32)
    assert matte_plane(full, STRETCH).min() >= 229


def test_a_subject_before_a_background_is_stretched_to_the_whole_range() -> None:
    """As the networks' users do."""
    plane = np.linspace(0.1, 0.9, 64, dtype=np.float32).reshape(1, 1, 8, 8)
    assert (matte_plane(plane, STRETCH).min(), matte_plane(plane, STRETCH).max()) == (0, 255)


@pytest.mark.parametrize("shape", [(1, 1, 4, 6), (1, 4, 6), (4, 6)])
def test_axes_of_one_may_be_missing(shape: tuple[int, ...]) -> None:
    """Exports differ."""
    plane = (np.arange(24, dtype=np.float32) / 23).reshape(shape).astype(np.float32)
    expected = np.arange(24, dtype=np.float32).reshape(4, 6) / 23 * 255
    matte = matte_plane(plane, Output(kind="alpha")).astype(np.float32)
    np.testing.assert_allclose(matte, expected, atol=0.51)


def test_a_mattes_channel_may_come_last() -> None:
    """NHWC."""
    plane = np.zeros((1, 4, 6, 1), np.float32)
    plane[0, 1, 2, 0] = 1
    matte = matte_plane(plane, Output(kind="alpha", layout="NHWC"))
    assert np.argwhere(matte).tolist() == [[1, 2]]


def test_values_that_arent_numbers_are_nothing() -> None:
    """A network that fails so leaves no false mask."""
    assert quantise(np.full((2, 2), np.nan, np.float32)).max() == 0


@given(
    shares=arrays(np.uint8, (2, 7, 5), elements=st.integers(0, 127)),
    size=st.tuples(st.integers(1, 60), st.integers(1, 60)),
)
def test_no_pixel_is_both_upper_and_lower(
    shares: npt.NDArray[np.uint8], size: tuple[int, int]
) -> None:
    """And masks hold 0 and 255 alone, at the photo's size."""
    regions = Regions(shares[0] * 2, shares[1], shares[0])
    upper, lower = body_masks(regions, (0.0, 0.0, 5.0, 7.0), size)
    assert upper.shape == lower.shape == size[::-1]
    assert not (upper & lower).any()
    assert set(np.unique([upper, lower])) <= {0, 255}


def test_masks_are_those_of_planes_enlarged_by_pillow() -> None:
    """Our own enlarging of the rows differs by rounding alone."""
    rng = np.random.default_rng(3)
    upper, lower = (
        np.asarray(Image.fromarray(rng.integers(0, 128, (6, 4), np.uint8)).resize((24, 36)))
        for _ in range(2)
    )
    box, size = (2.5, 1.25, 20.0, 33.0), (400, 700)
    ours = body_masks(Regions(upper, lower, upper), box, size)
    u, v = (enlarge(plane, box, size).astype(int) for plane in (upper, lower))
    rest = 255 - u - v
    for mask, margin in zip(ours, (u - np.maximum(v, rest), v - np.maximum(u, rest)), strict=True):
        sure = abs(margin) > 3
        assert sure.mean() > 0.9
        np.testing.assert_array_equal(mask[sure] > 0, margin[sure] > 0)


@pytest.mark.parametrize(("upper", "lower"), [(100, 100), (0, 0), (127, 128), (85, 85)])
def test_a_tie_belongs_to_no_region(upper: int, lower: int) -> None:
    """Only the larger share makes a mask."""
    planes = [np.full((3, 3), share, np.uint8) for share in (upper, lower)]
    masks = body_masks(Regions(planes[0], planes[1], planes[0]), (0.0, 0.0, 3.0, 3.0), (9, 9))
    assert [bool(mask.all()) for mask in masks] == [upper > lower, lower > upper]
    assert [bool(mask.any()) for mask in masks] == [upper > lower, lower > upper]


def test_logits_become_probabilities() -> None:
    """Softmax, however large they are."""
    manifest = read_manifest(PACKAGED / "body-regions.toml")
    logits = np.array([0, np.log(2), np.log(4), np.log(1)], np.float32).reshape(1, 4, 1, 1) + 500
    np.testing.assert_allclose(
        class_planes(logits, manifest).ravel(), np.array([1, 2, 4, 1]) / 8, rtol=1e-4
    )


def test_seg_map_takes_the_likeliest_class() -> None:
    """At every pixel, of the planes enlarged."""
    planes = np.zeros((3, 2, 2), np.float32)
    planes[1, 0], planes[2, 1] = 1, 1
    ids = seg_map(planes, (0.0, 0.0, 2.0, 2.0), (8, 8))
    np.testing.assert_array_equal(np.repeat([1, 2], 4)[:, None].repeat(8, 1), ids)


@given(grey=GREY)
def test_a_grey_png_is_what_was_encoded(grey: Pixels) -> None:
    """Whichever way; and a reader of another make agrees that it is 8-bit grey."""
    for encode in (encode_flat, encode_matte):
        file = encode(grey, Deadline(10))
        np.testing.assert_array_equal(grey, read(file))
        picture = Image.open(io.BytesIO(file))
        picture.verify()
        assert (picture.format, picture.mode) == ("PNG", "L")


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (700, 900), (1, 3000), (3000, 1)])
def test_a_cutout_is_the_picture_where_the_matte_is(size: tuple[int, int]) -> None:
    """Across bands; nothing is left where the matte is 0."""
    rng = np.random.default_rng(2)
    colour = rng.integers(0, 256, (size[1], size[0], 3), np.uint8)
    matte = rng.integers(0, 3, (size[1], size[0]), np.uint8) * 100
    cutout = read(encode_cutout(Image.fromarray(colour), matte, Deadline(60)))
    np.testing.assert_array_equal(matte, cutout[..., 3])
    np.testing.assert_array_equal(np.where(matte[..., None] > 0, colour, 0), cutout[..., :3])


def test_encoding_ends_at_the_deadline() -> None:
    """Between two bands."""
    with pytest.raises(DeadlineExceeded):
        encode_flat(np.zeros((10, 10), np.uint8), Deadline(0))
