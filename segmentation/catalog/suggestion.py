"""A manifest to begin with, for a model that has none, from its own inputs and outputs."""

import re
from collections.abc import Sequence
from pathlib import Path

from segmentation.model.tensor_spec import TensorSpec

_SIDE = 512  # where the model leaves its size free
_MOST = 256  # classes that a manifest may name

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

_HALVES = """\
upper = ["class-1"]    # shoulders, chest, arms, hands
lower = ["class-2"]    # hips, legs
"""


def suggest_manifest(
    path: Path, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]
) -> str:
    """The TOML of a manifest for the file at `path`, its guesses to be checked by a person.

    The output is guessed to be the first of four axes; of one plane it is a matte, of more they
    are classes.
    """
    photo = inputs[0]
    nhwc = len(photo.shape) == 4 and photo.shape[3] == 3
    height, width = (_side(photo.shape, axis) for axis in ((1, 2) if nhwc else (2, 3)))
    index = next((i for i, port in enumerate(outputs) if len(port.shape) == 4), 0)
    shape = outputs[index].shape
    last = nhwc and len(shape) == 4 and isinstance(shape[3], int)
    planes = shape[3 if last else 1] if len(shape) == 4 else 1
    alpha = planes == 1
    halves = not alpha and planes != 2
    classes = min(planes, _MOST) if isinstance(planes, int) else 3
    text = _TEXT.format(
        name=re.sub(r"[^A-Za-z0-9._-]", "-", path.stem).lstrip("._-")[:64] or "model",
        file=path.name,
        outputs='["upper_body_mask", "lower_body_mask"]' if halves else '["alpha_mask"]',
        inputs=f"                # {photo}",
        height=height,
        width=width,
        layout="NHWC" if nhwc else "NCHW",
        found=", ".join(str(port) for port in outputs),
        index=index,
        kind="alpha" if alpha else "logits",
        planes="NHWC" if last else "NCHW",
    )
    if alpha:
        return text
    names = ", ".join(f'"class-{number}"' for number in range(classes))
    return text + _CLASSES.format(names=names) + (_HALVES if halves else "")


def _side(shape: Sequence[int | str], axis: int) -> int:
    side = shape[axis] if axis < len(shape) else None
    return side if isinstance(side, int) else _SIDE
