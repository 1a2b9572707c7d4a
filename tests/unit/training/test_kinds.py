"""The judge's own parts: the split, the kinds and the figures, on a person made of rectangles."""

import numpy as np
import pytest

from segmentation.model.manifest import Input
from segmentation.model.placement import place
from training import data, kinds, scenes
from training.scores import Tally, area_size

COLOURS = np.array([[40, 160, 60], [230, 190, 160], [200, 30, 30], [30, 30, 200], [90, 60, 10]])


@pytest.fixture
def photo() -> data.Photo:
    """A head, a trunk and legs, a bag beside them; each class in a colour of its own."""
    classes = np.zeros((825, 550), np.uint8)
    classes[60:160, 230:320] = data.PERSON
    classes[160:420, 190:360] = data.UPPER
    classes[420:760, 210:340] = data.LOWER
    classes[400:470, 360:420] = data.CARRIED
    garments = np.where(classes == data.CARRIED, 11, classes * 2).astype(np.uint8)
    return data.Photo("0000", COLOURS[classes].astype(np.uint8), classes, garments)


def test_a_code_holds_class_and_garment(photo: data.Photo) -> None:
    """What a sample's pixels carry can be taken apart again, and a bag is background."""
    assert np.array_equal(photo.codes % 4, photo.truth)
    assert np.array_equal(photo.codes // 4, photo.garments)
    assert photo.codes[430, 400] % 4 == data.BACKGROUND
    assert photo.codes.max() < 255


def test_near_duplicates_are_on_one_side_of_the_split() -> None:
    """A photo that is nearly in both halves would flatter the figures."""
    for twin, first in (("0730", "0183"), ("0722", "0594"), ("0732", "0692"), ("0990", "0907")):
        assert data.is_validation(twin) == data.is_validation(first)


def test_a_tenth_is_held_out() -> None:
    """The rule needs no list, so it holds for photos that it has never seen."""
    held = sum(data.is_validation(f"{number:04}") for number in range(1, 1005))
    assert 80 <= held <= 120


@pytest.mark.parametrize("kind", ["head_and_shoulders", "waist_up", "knees_up", "turned"])
def test_truth_moves_with_the_photo(photo: data.Photo, kind: str) -> None:
    """Nearly every pixel still has the colour of its class."""
    image, truth = kinds.KINDS[kind](photo)
    assert image.shape[:2] == truth.shape
    matches = np.abs(COLOURS[truth] - image).max(-1) < 60
    known = (np.abs(COLOURS[data.CARRIED] - image).max(-1) > 60) & (truth > 0)
    assert matches[known].mean() > 0.97


def test_a_portrait_shows_no_lower_body(photo: data.Photo) -> None:
    """Head and shoulders end above the hip."""
    _, truth = kinds.head_and_shoulders(photo)
    assert {data.BACKGROUND, data.PERSON, data.UPPER} == set(np.unique(truth))


def test_small_in_landscape_keeps_the_persons_aspect(photo: data.Photo) -> None:
    """The frame is 3:2 and the trunk's box is as slim as before."""
    image, truth = kinds.small_in_landscape(photo)
    assert image.shape == (825, 1237, 3)
    rows, columns = np.nonzero(truth == data.UPPER)
    assert np.ptp(columns) / np.ptp(rows) == pytest.approx(170 / 260, abs=0.03)


def test_the_background_alone_shows_nothing_of_the_person(photo: data.Photo) -> None:
    """Both ways of removing a person leave the background's colour only."""
    for kind in (kinds.background_filled, kinds.background_mirrored):
        image, truth = kind(photo)
        assert not truth.any()
        assert np.abs(image.astype(int) - COLOURS[0]).max() <= 1


def test_filling_in_leaves_the_rest_alone(photo: data.Photo) -> None:
    """Only what the mask covers changes."""
    mask = photo.classes > 0
    filled = scenes.filled(photo.image, mask)
    assert np.array_equal(filled[~mask], photo.image[~mask])


@pytest.mark.parametrize("size", [(825, 550), (600, 512), (512, 512), (720, 1280), (3000, 400)])
def test_training_sizes_photos_as_the_service_does(size: tuple[int, int]) -> None:
    """`fit = "area"` of the manifest and the training's own rule give the same input size."""
    height, width = size
    at = place(Input(height=384, width=256, fit="area"), width, height)
    assert (at.height, at.width) == area_size(height, width, 384 * 256)


def test_scores_pool_pixels_over_photos() -> None:
    """IoU is of all pixels together, not the mean over photos."""
    tally = Tally()
    tally.add(np.array([[2, 2, 3, 0]], np.uint8), np.array([[2, 2, 3, 3]], np.uint8))
    tally.add(np.array([[2, 0, 0, 0]], np.uint8), np.array([[0, 0, 0, 3]], np.uint8))
    assert pytest.approx(list(tally.iou)) == [2 / 3, 1 / 3, 3 / 6]
