"""Two small folders as training reads them, of people made of rectangles."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

COLOURS = np.array([[40, 160, 60], [230, 190, 160], [200, 30, 30], [30, 30, 200]], np.uint8)


def _classes(shift: int) -> np.ndarray:
    classes = np.zeros((120, 80), np.uint8)
    classes[10:30, 30 + shift : 45 + shift] = 1
    classes[30:70, 25 + shift : 50 + shift] = 2
    classes[70:110, 28 + shift : 46 + shift] = 3
    return classes


def _save(folder: Path, name: str, picture: np.ndarray) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(folder / name)


@pytest.fixture(scope="session")
def fashion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fourteen photos with labels and regions; of them 0022, 0027 and 0033 are held out."""
    folder = tmp_path_factory.mktemp("fashion")
    labels, regions = np.array([0, 19, 38, 25], np.uint8), np.array([0, 0, 1, 2], np.uint8)
    for number in range(20, 34):
        classes = _classes(number % 7)
        _save(folder / "photos", f"{number:04}.jpg", COLOURS[classes])
        _save(folder / "labels", f"{number:04}.png", labels[classes])
        _save(folder / "regions", f"{number:04}.png", regions[classes])
    return folder


@pytest.fixture(scope="session")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of three sources: COCO's people, two with joints; Penn's, without; places without people."""
    folder = tmp_path_factory.mktemp("people")
    joints = {}
    for number in range(12):
        for source, there in (("coco", 1), ("penn", 1), ("scene", 0)):
            name = f"{source}_{number}"
            classes = _classes(number) * np.uint8(there)
            mask = np.where(classes > 0, 255, 0).astype(np.uint8)
            region = np.array([0, 0, 1, 2], np.uint8)[classes]
            mask[70, classes[70] > 0] = 128
            region[105:] = 255
            _save(folder / "photos", f"{name}.jpg", COLOURS[classes])
            _save(folder / "masks", f"{name}.png", mask)
            _save(folder / "regions", f"{name}.png", region)
    for number in range(2):
        places = {"nose": (20, 2), "shoulder": (40, 2), "hip": (60, 1), "knee": (90, 2)}
        points = np.zeros((17, 3))
        for index, joint in ((0, "nose"), (5, "shoulder"), (11, "hip"), (13, "knee")):
            points[index] = 35 + number, *places[joint]
        joints[f"coco_{number}"] = {"order": "COCO17", "people": [points.ravel().tolist()]}
    (folder / "keypoints.json").write_text(json.dumps(joints))
    return folder
