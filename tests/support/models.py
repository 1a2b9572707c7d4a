"""Tiny ONNX models with known weights and their manifests, for tests and benchmarks.

`trivial` sees colours, so its masks are known exactly: red pixels are upper body, blue ones are
lower body, green ones are the rest of a person, everything else is background. It takes 16 x 16
pixels: where a photo's colours change only at lines right across it, at sixteenths of its sides,
the masks are exact (bilinear enlarging rounds corners off). `hanging` gives the same, but only
after a minute (at once for a black photo, and when it is warmed). `write_network` makes others.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

TRIVIAL = "trivial"
HANGING = "hanging"
_DEFAULT = "body-regions"

_SIDE = 16
_LOOPS = 12_000_000  # about a minute of the loop below on one core
_CONFIDENT = 40.0

# Rows: background, person, upper, lower. A pure colour's own row is far the greatest.
COLOURS = np.array([[0, 0, 0], [-1, 2, -1], [2, -1, -1], [-1, -1, 2]], np.float32)
_FLOOR = np.array([1, 0, 0, 0], np.float32)

_MANIFEST = """
name = "{name}"
file = "{name}.onnx"
source = "tests/support/models.py"
outputs = ["upper_body_mask", "lower_body_mask"]

[input]
height = 16
width = 16
resample = "box"

[output]
kind = "logits"

[classes]
names = ["background", "person", "upper", "lower"]
upper = ["upper"]
lower = ["lower"]
"""


def write_trivial_body_model(folder: Path) -> None:
    """Write `trivial.onnx` and `trivial.toml` into `folder`; a run costs well under 1 ms."""
    nodes = [helper.make_node("Conv", ["photo", "weight", "bias"], ["logits"])]
    _write(folder, TRIVIAL, nodes, {"weight": _weight(), "bias": _FLOOR * _CONFIDENT})


def write_light_catalog(folder: Path) -> None:
    """Write the trivial model, also in the place of the default one.

    A consumer loads every packaged model and runs it once. For the default one that takes 0.6 s of
    processor time at each start, and few tests ask for it.
    """
    write_trivial_body_model(folder)
    shutil.copy(folder / f"{TRIVIAL}.onnx", folder / f"{_DEFAULT}.onnx")
    text = _MANIFEST.format(name=_DEFAULT).lstrip()
    (folder / f"{_DEFAULT}.toml").write_text(text, encoding="utf-8")


def write_hanging_body_model(folder: Path) -> None:
    """Write `hanging.onnx` and `hanging.toml`: a minute's loop before the masks of `trivial`."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["going"], ["still"]),
            helper.make_node("Mul", ["carried", "one"], ["next"]),
        ],
        "again",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("carried", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("still", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, None),
        ],
        [numpy_helper.from_array(np.ones((), np.float32), "one")],
    )
    nodes = [
        helper.make_node("ReduceMax", ["photo"], ["brightest"], keepdims=0),
        helper.make_node("Greater", ["brightest", "dark"], ["lit"]),
        helper.make_node("Cast", ["lit"], ["some"], to=TensorProto.INT64),
        helper.make_node("Mul", ["some", "loops"], ["turns"]),
        helper.make_node("Loop", ["turns", "begin", "photo"], ["waited"], body=body),
        helper.make_node("Conv", ["waited", "weight", "bias"], ["logits"]),
    ]
    weights = {
        "weight": _weight(),
        "bias": _FLOOR * _CONFIDENT,
        "loops": np.array(_LOOPS, np.int64),
        "dark": np.array(0, np.float32),
        "begin": np.array(True),
    }
    _write(folder, HANGING, nodes, weights)


def write_network(
    path: Path,
    *,
    nodes: Sequence[onnx.NodeProto],
    weights: dict[str, np.ndarray],
    photo: Sequence[int | str],
    outputs: dict[str, Sequence[int | str]],
) -> None:
    """Write a network whose input is `photo`, float32, with these shapes and weights."""
    graph = helper.make_graph(
        list(nodes),
        path.stem,
        [helper.make_tensor_value_info("photo", TensorProto.FLOAT, list(photo))],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))
            for name, shape in outputs.items()
        ],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="maskline"
    )
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _write(
    folder: Path, name: str, nodes: Sequence[onnx.NodeProto], weights: dict[str, np.ndarray]
) -> None:
    write_network(
        folder / f"{name}.onnx",
        nodes=nodes,
        weights=weights,
        photo=(1, 3, _SIDE, _SIDE),
        outputs={"logits": (1, len(COLOURS), _SIDE, _SIDE)},
    )
    (folder / f"{name}.toml").write_text(_MANIFEST.format(name=name).lstrip(), encoding="utf-8")


def _weight() -> np.ndarray:
    return COLOURS[:, :, None, None] * _CONFIDENT
