"""Makes an int8 copy of a model: `python -m training.quantise --data DIR --model FILE --out FILE`.

Static, QDQ, a scale per output channel, calibrated on training photos. `training.evaluate
--weights` judges the copy; `maskline models check` times it.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from PIL import Image

from training import data
from training.scores import area_size


class _Photos(CalibrationDataReader):  # type: ignore[misc]  # it has no types
    """Training photos as the network's input, one after another."""

    def __init__(self, folder: Path, numbers: list[str], area: int) -> None:
        self._folder, self._left, self._area = folder, iter(numbers), area

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """The next photo, or None at the end."""
        number = next(self._left, None)
        if number is None:
            return None
        image = Image.open(self._folder / "photos" / f"{number}.jpg").convert("RGB")
        height, width = area_size(image.height, image.width, self._area)
        pixels = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR), np.float32)
        return {"image": ((pixels - 128) / 128).transpose(2, 0, 1)[None].astype(np.float32)}


def main() -> None:
    """Prepare the graph, calibrate, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="photos/, regions/, labels/")
    parser.add_argument("--model", type=Path, required=True, help="the float32 ONNX file")
    parser.add_argument("--out", type=Path, required=True, help="the int8 ONNX file to write")
    parser.add_argument("--photos", type=int, default=60, help="how many to calibrate on")
    parser.add_argument("--area", type=int, default=384 * 256)
    options = parser.parse_args()
    numbers = [n for n in data.numbers(options.data) if not data.is_validation(n)]
    chosen = numbers[:: max(len(numbers) // options.photos, 1)][: options.photos]
    with tempfile.TemporaryDirectory() as folder:
        ready = Path(folder) / "ready.onnx"
        quant_pre_process(str(options.model), str(ready), skip_symbolic_shape=True)
        quantize_static(
            str(ready),
            str(options.out),
            _Photos(options.data, chosen, options.area),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            reduce_range=True,  # 7-bit weights: no saturation on processors without VNNI
        )


if __name__ == "__main__":
    main()
