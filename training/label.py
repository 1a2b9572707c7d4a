"""Labels photos by two published networks: `python -m training.label --photos DIR …`.

What comes out has the form of a folder of people (`training/people.py`). A pixel's person share
is the mean of DeepLabv3's and BodyPix's, each of the photo and its mirror image; between two
thresholds it is unknown. Photos on which the two disagree are left out.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image

from training.data import Floats, Pixels

PERSON_FROM, NOBODY_TO = 0.47, 0.24  # of the mean share
_AGREED = 0.5  # least IoU of the two networks' masks
_LONGEST = 575  # pixels of a labelled photo's longer side
_DEEPLAB_SIDE, _DEEPLAB_PERSON = 513, 15
_BODYPIX_SIDES = (513, 673)  # of the photo, and of its mirror image
# BodyPix's parts: 0-1 face, 2-11 arms and hands, 12-13 torso, 14-21 legs, 22-23 feet.
_OTHER, _UPPER, _LOWER = [0, 1, 22, 23], list(range(2, 14)), list(range(14, 22))


def _enlarged(plane: Floats, width: int, height: int) -> NDArray[np.float32]:
    picture = Image.fromarray(plane.astype(np.float32))
    return np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))


class DeepLab:
    """DeepLabv3 with MobileNetV2, Pascal VOC, quantised."""

    def __init__(self, file: Path) -> None:
        from ai_edge_litert.interpreter import Interpreter  # type: ignore[import-untyped]

        self._net: Any = Interpreter(str(file), num_threads=1)
        self._net.allocate_tensors()
        self._input = self._net.get_input_details()[0]["index"]
        self._output = self._net.get_output_details()[0]

    def person(self, picture: Image.Image) -> Floats:
        """The person's share of every pixel, H x W, 0 to 1."""
        share = _DEEPLAB_SIDE / max(picture.size)
        width, height = (max(round(side * share), 1) for side in picture.size)
        square = Image.new("RGB", (_DEEPLAB_SIDE, _DEEPLAB_SIDE), (128, 128, 128))
        square.paste(picture.resize((width, height), Image.Resampling.BILINEAR))
        self._net.set_tensor(self._input, np.asarray(square)[None])
        self._net.invoke()
        scale, zero = self._output["quantization"]
        logits = (self._net.get_tensor(self._output["index"])[0].astype(np.float32) - zero) * scale
        powers = np.exp(logits - logits.max(-1, keepdims=True))
        small = powers[..., _DEEPLAB_PERSON] / powers.sum(-1)
        full = _enlarged(small, _DEEPLAB_SIDE, _DEEPLAB_SIDE)[:height, :width]
        return _enlarged(full, *picture.size)


class BodyPix:
    """BodyPix with MobileNetV1 0.5 at stride 8."""

    def __init__(self, file: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._net = onnxruntime.InferenceSession(
            str(file), options, providers=["CPUExecutionProvider"]
        )

    def both(self, picture: Image.Image, side: int) -> tuple[Floats, Floats]:
        """The person's share, H x W, and how strong other, upper, lower are, 3 x H x W."""
        share = side / max(picture.size)
        width, height = (round(length * share / 16) * 16 + 1 for length in picture.size)
        pixels = np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR), np.float32)
        segments, parts = self._net.run(
            ["segments", "part_heatmaps"], {"input": pixels[None] / 127.5 - 1}
        )
        logits = _enlarged(segments[0, ..., 0], *picture.size)
        groups = [parts[0][..., group].max(-1) for group in (_OTHER, _UPPER, _LOWER)]
        return 1 / (1 + np.exp(-np.clip(logits, -30, 30))), np.stack(
            [_enlarged(group, *picture.size) for group in groups]
        )


def labelled(
    picture: Image.Image, deeplab: DeepLab, bodypix: BodyPix
) -> tuple[Pixels, Pixels] | None:
    """Mask (255 person, 128 unknown) and region (1 upper, 2 lower), or None if they disagree."""
    mirror = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    one = (deeplab.person(picture) + deeplab.person(mirror)[:, ::-1]) / 2
    straight, strength = bodypix.both(picture, _BODYPIX_SIDES[0])
    turned, turned_strength = bodypix.both(mirror, _BODYPIX_SIDES[1])
    other = (straight + turned[:, ::-1]) / 2
    both, either = (one > 0.5) & (other > 0.5), (one > 0.5) | (other > 0.5)
    if both.sum() < _AGREED * either.sum() or not both.any():
        return None
    share = (one + other) / 2
    mask = np.select([share > PERSON_FROM, share > NOBODY_TO], [255, 128], 0).astype(np.uint8)
    region = (strength + turned_strength[..., ::-1]).argmax(0)
    return mask, np.where(mask == 255, region, 0).astype(np.uint8)


def main(arguments: Sequence[str] | None = None) -> None:
    """Label every photo that isn't labelled yet, in an order that hashes of the names give."""
    options = _options(arguments)
    deeplab = DeepLab(options.teachers / "deeplab_logits.tflite")
    bodypix = BodyPix(options.teachers / "bodypix-x050-stride8.onnx")
    folders = [options.out / name for name in ("photos", "masks", "regions")]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    known = {entry["id"] for folder in options.known for entry in _entries(folder)}
    files = sorted(options.photos.glob("*.jpg"), key=lambda file: _hash(file.stem))
    for file in files[options.first : options.first + options.count]:
        name = f"{options.prefix}_{file.stem}"
        if name in known or (folders[2] / f"{name}.png").exists():
            continue
        picture = Image.open(file).convert("RGB")
        if max(picture.size) > _LONGEST:
            picture.thumbnail((_LONGEST, _LONGEST), Image.Resampling.LANCZOS)
        labels = labelled(picture, deeplab, bodypix)
        if labels is None:
            continue
        picture.save(folders[0] / f"{name}.jpg", quality=92)
        for folder, plane in zip(folders[1:], labels, strict=True):
            Image.fromarray(plane).save(folder / f"{name}.png")


def _entries(folder: Path) -> list[dict[str, str]]:
    entries: list[dict[str, str]] = json.loads((folder / "index.json").read_text())
    return entries


def _hash(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, required=True, help="folder of JPEG files")
    parser.add_argument("--teachers", type=Path, required=True, help="folder of the two networks")
    parser.add_argument("--out", type=Path, required=True, help="folder of people to write")
    parser.add_argument("--known", type=Path, nargs="*", default=[], help="folders to leave out")
    parser.add_argument("--prefix", required=True, help="of every name, as s40")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=1 << 30)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
