"""A photo in, masks out, with a model that sees colours."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import numpy as np
import pytest

from segmentation.catalog.catalog import Catalog
from segmentation.deadline import Deadline
from segmentation.errors import DeadlineExceeded, UnsupportedOutput
from segmentation.segment import ImageLimits, Segmentation, segment
from tests.support.photos import BLUE, GREEN, RED, WHITE, Pixels, read, saved, stripes

EVERY = ("upper_body_mask", "lower_body_mask", "seg_map", "alpha_mask", "cutout")

# How a camera that was held so stores what is upright: the inverse of what a viewer must do.
STORED: dict[int, Callable[[Pixels], Pixels]] = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.swapaxes(0, 1),
    6: lambda upright: np.rot90(upright),
    7: lambda upright: upright.swapaxes(0, 1)[::-1, ::-1],
    8: lambda upright: np.rot90(upright, -1),
}


@pytest.fixture
def everything(catalog: Catalog, limits: ImageLimits, deadline: Deadline) -> Segmentation:
    """All five outputs of the stripes."""
    return segment(
        saved(stripes()),
        model=catalog.model(None),
        outputs=EVERY,
        limits=limits,
        deadline=deadline,
    )


def where(pixels: Pixels, *colours: tuple[int, int, int]) -> Pixels:
    """255 where a pixel has one of the colours, else 0."""
    hits = np.logical_or.reduce([(pixels == colour).all(axis=-1) for colour in colours])
    mask: Pixels = hits.astype(np.uint8) * 255
    return mask


def test_body_masks_are_exact(everything: Segmentation) -> None:
    """Red is upper, blue is lower, to the pixel."""
    np.testing.assert_array_equal(where(stripes(), RED), read(everything.files["upper_body_mask"]))
    np.testing.assert_array_equal(where(stripes(), BLUE), read(everything.files["lower_body_mask"]))


def test_coverage_is_each_masks_share(everything: Segmentation) -> None:
    """A quarter of the photo is red, a quarter blue."""
    assert dict(everything.coverage) == {"upper_body_mask": 0.25, "lower_body_mask": 0.25}


def test_seg_map_holds_class_ids(everything: Segmentation) -> None:
    """Each pixel's class is its index among the manifest's names."""
    expected = np.repeat(np.array([1, 2, 3, 0], np.uint8), 80)[:, None].repeat(160, axis=1)
    np.testing.assert_array_equal(expected, read(everything.files["seg_map"]))


def test_alpha_mask_is_the_whole_person_with_a_soft_edge(everything: Segmentation) -> None:
    """Head, upper and lower together, half transparent only at the edge."""
    alpha = read(everything.files["alpha_mask"])
    person = where(stripes(), GREEN, RED, BLUE)
    np.testing.assert_array_equal(person, np.where(alpha >= 128, 255, 0))
    assert len(np.unique(alpha)) > 2


def test_cutout_shows_the_photo_and_hides_the_background(everything: Segmentation) -> None:
    """Its alpha is the alpha mask, and nothing of the background is left in the file."""
    cutout = read(everything.files["cutout"])
    alpha = read(everything.files["alpha_mask"])
    np.testing.assert_array_equal(alpha, cutout[..., 3])
    np.testing.assert_array_equal(stripes()[alpha > 0], cutout[alpha > 0][:, :3])
    assert not cutout[alpha == 0].any()


def test_files_come_in_the_order_asked_for(everything: Segmentation) -> None:
    """The callback sends them in this order."""
    assert list(everything.files) == list(EVERY)


def test_without_outputs_the_manifests_own_are_given(
    catalog: Catalog, limits: ImageLimits, deadline: Deadline
) -> None:
    """A job's null is the manifest's choice."""
    result = segment(
        saved(stripes()), model=catalog.model(None), outputs=None, limits=limits, deadline=deadline
    )
    assert set(result.files) == {"upper_body_mask", "lower_body_mask"}
    assert set(result.timings_ms) == {"preprocess", "segment", "masks"}


@pytest.mark.parametrize("outputs", [["depth"], ["upper_body_mask", "depth"], []])
def test_an_unknown_output_is_refused(
    outputs: list[str], catalog: Catalog, limits: ImageLimits, deadline: Deadline
) -> None:
    """Also when others of the job are known, and when none is named."""
    with pytest.raises(UnsupportedOutput):
        segment(
            saved(stripes()),
            model=catalog.model(None),
            outputs=outputs,
            limits=limits,
            deadline=deadline,
        )


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_masks_are_upright_whatever_way_the_camera_was_held(
    orientation: int, kind: str, catalog: Catalog, limits: ImageLimits, deadline: Deadline
) -> None:
    """EXIF's eight orientations, in each format that bears them."""
    stored = STORED[orientation](stripes())
    exif = b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01"
    exif += bytes([0, orientation, 0, 0, 0, 0, 0, 0])
    lossless = {"lossless": True} if kind == "WEBP" else {"quality": 95, "subsampling": 0}
    photo = saved(np.ascontiguousarray(stored), kind, exif=exif, **lossless)
    result = segment(
        photo, model=catalog.model(None), outputs=None, limits=limits, deadline=deadline
    )
    assert (result.width, result.height) == (160, 320)
    np.testing.assert_array_equal(where(stripes(), RED), read(result.files["upper_body_mask"]))


def test_many_threads_share_one_model(catalog: Catalog, limits: ImageLimits) -> None:
    """Eight at once, each with a photo of its own size, get each their own mask."""

    def masks(height: int) -> Pixels:
        return read(
            segment(
                saved(stripes(160, height)),
                model=catalog.model(None),
                outputs=["upper_body_mask"],
                limits=limits,
                deadline=Deadline(60),
            ).files["upper_body_mask"]
        )

    heights = [160 + 16 * (index % 7) for index in range(56)]
    with ThreadPoolExecutor(8) as pool:
        for height, mask in zip(heights, pool.map(masks, heights), strict=True):
            np.testing.assert_array_equal(where(stripes(160, height), RED), mask)


def test_a_running_network_ends_at_the_deadline(catalog: Catalog, limits: ImageLimits) -> None:
    """`expire` from another thread ends a loop of a minute."""
    deadline = Deadline(60)
    alarm = threading.Timer(0.2, deadline.expire)
    alarm.start()
    began = monotonic()
    with pytest.raises(DeadlineExceeded):
        segment(
            saved(stripes()),
            model=catalog.model("hanging"),
            outputs=None,
            limits=limits,
            deadline=deadline,
        )
    assert monotonic() - began < 10
    alarm.join()


def test_a_model_works_again_after_it_was_ended(catalog: Catalog, limits: ImageLimits) -> None:
    """An ended run leaves nothing behind."""
    expired = Deadline(60)
    expired.expire()
    with pytest.raises(DeadlineExceeded):
        segment(
            saved(stripes()),
            model=catalog.model(None),
            outputs=None,
            limits=limits,
            deadline=expired,
        )
    result = segment(
        saved(stripes()),
        model=catalog.model(None),
        outputs=None,
        limits=limits,
        deadline=Deadline(60),
    )
    assert result.coverage["upper_body_mask"] == 0.25


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (3, 7), (17, 16)])
def test_the_smallest_and_thinnest_photos_have_masks(
    size: tuple[int, int], catalog: Catalog, limits: ImageLimits, deadline: Deadline
) -> None:
    """A single pixel is a photo too."""
    photo = saved(np.full((size[1], size[0], 3), RED, np.uint8))
    result = segment(
        photo, model=catalog.model(None), outputs=EVERY, limits=limits, deadline=deadline
    )
    assert (result.width, result.height) == size
    assert result.coverage == {"upper_body_mask": 1.0, "lower_body_mask": 0.0}
    assert [read(file).shape[:2] for file in result.files.values()] == [size[::-1]] * 5
    assert WHITE not in [tuple(pixel) for pixel in read(result.files["cutout"])[0, :, :3]]
