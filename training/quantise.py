"""Makes an int8 copy of a model: `python -m training.quantise --data DIR --model FILE --out FILE`.

Static, QDQ, a scale per output channel, calibrated on training photos of street fashion and, with
`--people`, on as many of people and places. Logits, gate and what follows them stay floats.
`training.evaluate --weights` judges the copy; `maskline models check` times it.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from PIL import Image

from training import data, people
from training.scores import area_size


class _Photos(CalibrationDataReader):  # type: ignore[misc]  # it has no types
    """Training photos as the network's input, one after another."""

    def __init__(self, files: list[Path], area: int) -> None:
        self._left, self._area = iter(files), area

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """The next photo, or None at the end."""
        file = next(self._left, None)
        if file is None:
            return None
        image = Image.open(file).convert("RGB")
        height, width = area_size(image.height, image.width, self._area)
        pixels = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR), np.float32)
        return {"image": ((pixels - 128) / 128).transpose(2, 0, 1)[None].astype(np.float32)}


def _spread(folder: Path, names: list[str], count: int) -> list[Path]:
    """About `count` of a folder's photos, from its whole length."""
    chosen = names[:: max(len(names) // count, 1)][:count]
    return [folder / "photos" / f"{name}.jpg" for name in chosen]


def _last(graph: onnx.GraphProto) -> list[str]:
    """The nodes that give the logits and the gate, and all that follow them."""
    reached: set[str] = set()
    names = []
    for node in graph.node:
        gives = node.op_type == "Conv" and node.name.startswith(("/logits", "/gate"))
        if gives or not reached.isdisjoint(node.input):
            reached.update(node.output)
            names.append(node.name)
    return names


def main() -> None:
    """Prepare the graph, calibrate, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="photos/, regions/, labels/")
    parser.add_argument("--people", type=Path, help="photos/, masks/, regions/")
    parser.add_argument("--model", type=Path, required=True, help="the float32 ONNX file")
    parser.add_argument("--out", type=Path, required=True, help="the int8 ONNX file to write")
    parser.add_argument("--photos", type=int, default=60, help="of each kind, to calibrate on")
    parser.add_argument("--area", type=int, default=384 * 256)
    options = parser.parse_args()
    numbers = [n for n in data.numbers(options.data) if not data.is_validation(n)]
    files = _spread(options.data, numbers, options.photos)
    if options.people:
        files += _spread(options.people, people.names(options.people, held=False), options.photos)
    with tempfile.TemporaryDirectory() as folder:
        ready = Path(folder) / "ready.onnx"
        quant_pre_process(str(options.model), str(ready), skip_symbolic_shape=True)
        quantize_static(
            str(ready),
            str(options.out),
            _Photos(files, options.area),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=_last(onnx.load(ready).graph),
            reduce_range=True,  # 7-bit weights: no saturation on processors without VNNI
        )


if __name__ == "__main__":
    main()
