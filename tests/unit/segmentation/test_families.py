"""Each packaged manifest, with a network of the family's true shapes and known weights.

The facts in `FAMILIES` and `MATTES` are written down a second time here, from the models' sources
and not from the manifests. A class's colour codes its index; the network undoes the family's
normalisation, and gives to each sample the class whose colour is nearest. So a photo of coloured
stripes has masks that are known to the pixel, and a wrong mean, channel order, class or geometry
gives other masks.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from onnx import helper
from PIL import Image

from segmentation.catalog.catalog import Catalog, find_entries
from segmentation.deadline import Deadline
from segmentation.model.placement import place
from segmentation.model.preprocess import preprocess
from segmentation.segment import ImageLimits, segment
from tests.support.models import write_network
from tests.support.photos import Pixels, read, saved

Open = Callable[[Path, str], Catalog]
Numbers = npt.NDArray[np.float64]

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_SURE = 300.0  # how much farther apart logits are than colours


@dataclass(frozen=True)
class Family:
    """A human-parsing model as its source describes it."""

    classes: int
    size: tuple[int, int]  # height, width of the input
    samples: tuple[int, int]  # height, width of the output
    upper: tuple[int, ...]
    lower: tuple[int, ...]
    split: tuple[int, ...] = ()
    background: tuple[int, ...] = (0,)
    scale: float = 255.0
    mean: tuple[float, ...] = IMAGENET[0]
    std: tuple[float, ...] = IMAGENET[1]
    blue_first: bool = False
    padded: bool = False
    align_corners: bool = False
    index: int = 0
    outputs: int = 1


def _schp(family: Family) -> Family:
    """What is common to the three SCHP models."""
    return replace(
        family,
        mean=(0.406, 0.456, 0.485),
        std=(0.225, 0.224, 0.229),
        blue_first=True,
        padded=True,
        align_corners=True,
        index=1,
        outputs=3,
    )


_ATR = Family(
    18,
    (512, 512),
    (128, 128),
    upper=(4, 14, 15, 17),
    lower=(5, 6, 8, 12, 13),
    split=(7,),
    background=(0, 16),
)
_LIP = Family(
    20,
    (473, 473),
    (119, 119),
    upper=(3, 5, 7, 11, 14, 15),
    lower=(8, 9, 12, 16, 17),
    split=(6, 10),
)
_PASCAL = Family(7, (512, 512), (128, 128), upper=(2, 3, 4), lower=(5, 6))
FAMILIES = {
    "segformer-b2-clothes": _ATR,
    "schp-atr": _schp(_ATR),
    "schp-lip": _schp(_LIP),
    "schp-pascal": _schp(_PASCAL),
    "sapiens-seg": Family(
        28,
        (1024, 768),
        (512, 384),
        upper=(5, 6, 10, 14, 15, 19, 21, 22),
        lower=(7, 9, 11, 12, 16, 18, 20),
        split=(1,),
        scale=1.0,
        mean=(123.5, 116.5, 103.5),
        std=(58.5, 57.0, 57.5),
    ),
}


def colours(classes: int) -> npt.NDArray[np.uint8]:
    """A colour for each class, (classes, 3), RGB: its index in base four."""
    digits = [(index // 4**place) % 4 for index in range(classes) for place in (2, 1, 0)]
    return np.array(digits, np.uint8).reshape(classes, 3) * 85


def write_family(folder: Path, name: str, family: Family) -> None:
    """Write `<name>.onnx`: it samples its input, and finds the nearest class by colour."""
    rows, columns = (
        np.rint(_positions(size, samples, corners=family.align_corners)).astype(np.int64)
        for size, samples in zip(family.size, family.samples, strict=True)
    )
    codes = colours(family.classes)[:, :: -1 if family.blue_first else 1] / 255
    to_unit = family.scale / 255
    weight = 2 * _SURE * codes * np.array(family.std) * to_unit
    bias = 2 * _SURE * codes @ np.array(family.mean) * to_unit - _SURE * (codes**2).sum(axis=1)
    wanted = f"result{family.index}"
    nodes = [
        helper.make_node("Gather", ["photo", "rows"], ["sampled"], axis=2),
        helper.make_node("Gather", ["sampled", "columns"], ["samples"], axis=3),
        helper.make_node("Conv", ["samples", "weight", "bias"], [wanted]),
    ]
    others = [f"result{index}" for index in range(family.outputs) if index != family.index]
    nodes += [helper.make_node("Neg", [wanted], [other]) for other in others]
    write_network(
        folder / f"{name}.onnx",
        nodes=nodes,
        weights={
            "weight": weight.astype(np.float32)[:, :, None, None],
            "bias": bias.astype(np.float32),
            "rows": rows,
            "columns": columns,
        },
        photo=(1, 3, *family.size),
        outputs={
            f"result{index}": (1, family.classes, *family.samples)
            for index in range(family.outputs)
        },
    )


def _positions(size: int, samples: int, *, corners: bool) -> Numbers:
    """Which pixel of an axis each sample stands for."""
    if corners:
        return np.arange(samples) * (size - 1) / (samples - 1)
    return (np.arange(samples) + 0.5) * size / samples - 0.5


def striped(family: Family, order: list[int]) -> tuple[Pixels, npt.NDArray[np.intp]]:
    """A photo of the classes' stripes in this order, and each row's class.

    Its stripes end where the network's samples change, so that no row is in doubt.
    """
    height, width = family.size
    photo_height, photo_width = (height, 2 * width)
    top, inner = 0.0, height
    if family.padded:
        photo_height, inner = 2 * (height // 2), height // 2
        top = (height - inner) // 2
    at = top + (np.arange(photo_height) + 0.5) * inner / photo_height - 0.5
    samples = _positions(height, family.samples[0], corners=family.align_corners)
    inside = np.flatnonzero((samples >= top) & (samples <= top + inner - 1))
    ends = inside[0] + np.arange(1, len(order)) * (len(inside) // len(order))
    middles = (samples[ends - 1] + samples[ends]) / 2
    classes = np.array(order)[np.searchsorted(middles, at)]
    photo = np.repeat(colours(family.classes)[classes][:, None], photo_width, axis=1)
    return np.ascontiguousarray(photo), classes


def expected_rows(family: Family, classes: npt.NDArray[np.intp]) -> dict[str, Pixels]:
    """Each mask's rows: a split class belongs to the half of the person that it lies in."""
    person = np.flatnonzero(~np.isin(classes, family.background))
    hips = person[0] + 0.47 * (person[-1] + 1 - person[0])
    both = np.isin(classes, family.split)
    above = np.arange(len(classes)) < hips
    upper = np.isin(classes, family.upper) | (both & above)
    lower = np.isin(classes, family.lower) | (both & ~above)
    return {
        "upper_body_mask": upper.astype(np.uint8) * 255,
        "lower_body_mask": lower.astype(np.uint8) * 255,
        "seg_map": classes.astype(np.uint8),
    }


@pytest.mark.parametrize("upside_down", [False, True])
@pytest.mark.parametrize("name", FAMILIES)
def test_a_parsing_familys_masks_are_known_to_the_pixel(
    name: str, upside_down: bool, tmp_path: Path, open_catalog: Open, limits: ImageLimits
) -> None:
    """Stripes of all classes, background first and last, in both orders."""
    family = FAMILIES[name]
    write_family(tmp_path, name, family)
    order = [0, *range(1, family.classes), 0]
    photo, classes = striped(family, order[::-1] if upside_down else order)
    result = segment(
        saved(photo),
        model=open_catalog(tmp_path, f"{name}.onnx").model(None),
        outputs=["upper_body_mask", "lower_body_mask", "seg_map", "alpha_mask"],
        limits=limits,
        deadline=Deadline(60),
    )
    for output, rows in expected_rows(family, classes).items():
        expected = np.repeat(rows[:, None], photo.shape[1], axis=1)
        np.testing.assert_array_equal(expected, read(result.files[output]), err_msg=output)
    person = np.repeat(~np.isin(classes, family.background)[:, None], photo.shape[1], axis=1)
    np.testing.assert_array_equal(person, read(result.files["alpha_mask"]) >= 128)


@dataclass(frozen=True)
class Matte:
    """A background-removal model as rembg's session describes it."""

    side: int
    mean: tuple[float, ...] = IMAGENET[0]
    std: tuple[float, ...] = IMAGENET[1]
    sigmoid: bool = False
    outputs: int = 7


MATTES = {
    "u2net": Matte(320),
    "u2netp": Matte(320),
    "silueta": Matte(320),
    "u2net_human_seg": Matte(320),
    "isnet-general-use": Matte(1024, (0.5, 0.5, 0.5), (1.0, 1.0, 1.0), outputs=12),
    "birefnet-general": Matte(1024, sigmoid=True, outputs=1),
}


def write_matte(folder: Path, name: str, matte: Matte) -> None:
    """Write `<name>.onnx`: its plane is the red channel, stretched and shifted a little.

    The range is 0.1 to 0.9 (or -3 to 3 before a sigmoid), which leaves the stretching something.
    """
    gain, floor = (6.0, -3.0) if matte.sigmoid else (0.8, 0.1)
    weight = np.zeros((1, 3, 1, 1), np.float32)
    weight[0, 0] = gain * matte.std[0]
    bias = np.array([floor + gain * matte.mean[0]], np.float32)
    names = [f"d{index}" for index in range(matte.outputs)]
    nodes = [helper.make_node("Conv", ["photo", "weight", "bias"], ["d0"])]
    nodes += [helper.make_node("Neg", ["d0"], [name]) for name in names[1:]]
    write_network(
        folder / f"{name}.onnx",
        nodes=nodes,
        weights={"weight": weight, "bias": bias},
        photo=(1, 3, matte.side, matte.side),
        outputs=dict.fromkeys(names, (1, 1, matte.side, matte.side)),
    )


@pytest.mark.parametrize("name", MATTES)
def test_a_matte_familys_alpha_is_known_to_the_value(
    name: str, tmp_path: Path, open_catalog: Open, limits: ImageLimits
) -> None:
    """Red from 0 to 200: the brightest value counts as 1, and the range is stretched to 0..255."""
    matte = MATTES[name]
    write_matte(tmp_path, name, matte)
    photo = np.zeros((matte.side, matte.side, 3), np.uint8)
    photo[..., 0] = np.linspace(0, 200, matte.side).astype(np.uint8)[:, None]
    result = segment(
        saved(photo),
        model=open_catalog(tmp_path, f"{name}.onnx").model(None),
        outputs=["alpha_mask", "cutout"],
        limits=limits,
        deadline=Deadline(60),
    )
    share = photo[..., 0] / 200
    if matte.sigmoid:
        share = 1 / (1 + np.exp(3 - 6 * share))
        share = (share - share.min()) / (share.max() - share.min())
    alpha = read(result.files["alpha_mask"])
    np.testing.assert_allclose(alpha, share * 255, atol=0.51)
    np.testing.assert_array_equal(alpha, read(result.files["cutout"])[..., 3])


@pytest.mark.parametrize("level", [0, 100])
@pytest.mark.parametrize("name", MATTES)
def test_an_empty_scene_has_an_empty_matte(
    name: str, level: int, tmp_path: Path, open_catalog: Open, limits: ImageLimits
) -> None:
    """Where the network sees next to nothing, its noise isn't stretched into a mask."""
    matte = MATTES[name]
    write_matte(tmp_path, name, matte)
    photo = np.full((matte.side, matte.side, 3), (0, 250, 250), np.uint8)
    photo[: matte.side // 2, :, 0] = level
    result = segment(
        saved(photo),
        model=open_catalog(tmp_path, f"{name}.onnx").model(None),
        outputs=["alpha_mask"],
        limits=limits,
        deadline=Deadline(60),
    )
    assert read(result.files["alpha_mask"]).max() < 128


def test_every_packaged_manifest_is_tested_here() -> None:
    """A new manifest needs its network."""
    ours = {"body-regions", "body-regions-light"}
    assert set(find_entries(None)) - ours == set(FAMILIES) | set(MATTES)


@pytest.mark.parametrize("name", [*FAMILIES, *MATTES])
def test_a_familys_tensor_is_its_sources(name: str) -> None:
    """A plain photo, two fifths as high as wide: every value of the tensor, border included."""
    manifest = find_entries(None)[name].manifest
    plain = (60, 120, 200)
    at = place(manifest.input, 400, 160)
    tensor = preprocess(Image.new("RGB", (400, 160), plain), manifest.input, at)
    facts = FAMILIES.get(name) or MATTES[name]
    scale = facts.scale if isinstance(facts, Family) else max(plain)
    order = slice(None, None, -1 if isinstance(facts, Family) and facts.blue_first else 1)
    colour = np.array(plain)[order, None, None] / scale
    height, width = facts.size if isinstance(facts, Family) else (facts.side, facts.side)
    expected = np.broadcast_to(colour, (3, height, width)).copy()
    if isinstance(facts, Family) and facts.padded:
        inner = round(height * 0.4)
        border = (height - inner) // 2
        expected[:, :border] = 0
        expected[:, border + inner :] = 0
    mean, std = np.array(facts.mean)[:, None, None], np.array(facts.std)[:, None, None]
    np.testing.assert_allclose(tensor[0], (expected - mean) / std, rtol=1e-5)
