"""Photos of people as they are: their codes, their joints, the split, the figures."""

from pathlib import Path

import numpy as np

from training import augment, people
from training.data import LOWER, NAMELESS, PERSON, SOMEBODY, UNKNOWN, UPPER
from training.scores import Likeness


def test_codes_tell_the_unknown_from_the_rest(crowd: Path) -> None:
    """A region is a class, an unknown region is somebody, an unknown mask is left out."""
    codes = people.read_scene(crowd, "penn_3").codes
    column = codes[:, 36]
    assert column[20] == NAMELESS + PERSON
    assert column[40] == NAMELESS + UPPER
    assert column[90] == NAMELESS + LOWER
    assert column[70] == UNKNOWN
    assert column[107] == SOMEBODY
    assert column[0] == NAMELESS


def test_a_photo_is_on_one_side_of_the_split_only(crowd: Path) -> None:
    """Every photo is there once, and those of COCO's with joints are all for judging."""
    learned, held = (set(people.names(crowd, held=side)) for side in (False, True))
    assert not learned & held
    assert len(learned | held) == 36
    assert {"coco_0", "coco_1"} <= held


def test_only_visible_joints_are_read(crowd: Path) -> None:
    """COCO says v = 1 of a joint that is hidden."""
    scene = next(s for s in people.read_scenes(crowd, held=True) if s.name == "coco_1")
    assert scene.joints == (("nose", 36, 20), ("shoulder", 36, 40), ("knee", 36, 90))


def test_places_are_empty(crowd: Path) -> None:
    """What has no person at all is a background."""
    assert people.read_scene(crowd, "scene_1").empty
    assert not people.read_scene(crowd, "penn_1").empty


def test_likeness_leaves_the_unknown_out(crowd: Path) -> None:
    """A perfect guess has IoU 1 and every joint, whatever it says of the unknown row."""
    scene = next(s for s in people.read_scenes(crowd, held=True) if s.name == "coco_1")
    guess = np.where(scene.codes == SOMEBODY, UPPER, scene.codes % 4).astype(np.uint8)
    guess[scene.codes == UNKNOWN] = 0
    likeness = Likeness()
    likeness.add(guess, scene)
    assert (likeness.iou, likeness.placed, likeness.joints) == (1.0, 1.0, 3)
    likeness.add(np.zeros_like(guess), scene)
    assert likeness.iou == 0.5
    assert likeness.placed == 4 / 6  # a nose in neither mask is right


def test_photos_with_legs_and_true_masks_are_drawn_more_often(crowd: Path) -> None:
    """Three times as often as a teacher's label without legs, four times at most."""
    assert 3 < augment.weight("penn_1", people.read_codes(crowd, "penn_1")) <= 4
