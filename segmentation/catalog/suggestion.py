"""Drafts a manifest for a model that has none, from the model's inputs and outputs."""

import re
from collections.abc import Sequence
from pathlib import Path

from segmentation.model.manifest import MAX_CLASSES
from segmentation.model.tensor_spec import TensorSpec

_SIDE = 512  # width and height if the model leaves them free

_TEXT = """\
name = "{name}"
file = "{file}"
source = "where the model comes from, and its licence"
outputs = {outputs}

[input]{inputs}
height = {height}
width = {width}
layout = "{layout}"
colour = "RGB"         # or "BGR"
fit = "stretch"        # "pad" keeps the aspect with a border, "area" without (free sizes only)
scale = 255.0          # then (x / scale - mean) / std
mean = [0.485, 0.456, 0.406]
std = [0.229, 0.224, 0.225]

[output]               # {found}
index = {index}
kind = "{kind}"        # "logits", "probabilities" or "alpha"
layout = "{planes}"
"""

_CLASSES = """
[classes]
names = [{names}]
"""

_REGIONS = """\
upper = ["class-1"]    # shoulders, chest, arms, hands
lower = ["class-2"]    # hips, legs
"""


def suggest_manifest(
    path: Path, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]
) -> str:
    """Return the TOML of a manifest for the model at `path`. A person must check its guesses.

    The output is assumed to be the first one with four axes: a matte if it has one plane, class
    planes if it has more.
    """
    photo = inputs[0]
    nhwc = len(photo.shape) == 4 and photo.shape[3] == 3
    height, width = (_side(photo.shape, axis) for axis in ((1, 2) if nhwc else (2, 3)))
    index = next((i for i, tensor in enumerate(outputs) if len(tensor.shape) == 4), 0)
    shape = outputs[index].shape
    last = nhwc and len(shape) == 4 and isinstance(shape[3], int)
    planes = shape[3 if last else 1] if len(shape) == 4 else 1
    alpha = planes == 1
    body = not alpha and planes != 2
    classes = min(planes, MAX_CLASSES) if isinstance(planes, int) else 3
    text = _TEXT.format(
        name=re.sub(r"[^A-Za-z0-9._-]", "-", path.stem).lstrip("._-")[:64] or "model",
        file=path.name,
        outputs='["upper_body_mask", "lower_body_mask"]' if body else '["alpha_mask"]',
        inputs=f"                # {photo}",
        height=height,
        width=width,
        layout="NHWC" if nhwc else "NCHW",
        found=", ".join(str(tensor) for tensor in outputs),
        index=index,
        kind="alpha" if alpha else "logits",
        planes="NHWC" if last else "NCHW",
    )
    if alpha:
        return text
    names = ", ".join(f'"class-{number}"' for number in range(classes))
    return text + _CLASSES.format(names=names) + (_REGIONS if body else "")


def _side(shape: Sequence[int | str], axis: int) -> int:
    side = shape[axis] if axis < len(shape) else None
    return side if isinstance(side, int) else _SIDE
