"""Writes trained weights as ONNX: `python -m training.export --weights FILE --out FILE`.

Batch norm is folded into the convolutions, and weights are stored as float16 (`--light`: float32).
Height and width stay open; they must be multiples of 32. What goes out looks at the photo at two
sizes and takes a mean: large for the outlines, small for what is a coat and what a dress. So the
small look has less to say where the photo isn't street fashion.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  the name that every torch reader knows

from training.network import BodyRegions, Light, folded

SMALL_TENTHS = 6  # of the input's sides: what the second look sees
FASHION_SHARE, PEOPLE_SHARE = 0.5, 0.2  # of the second look in the mean, by the gate
_LARGE = 1024  # values: smaller weights, such as biases, stay float32


class Shipped(nn.Module):
    """The network as it goes out: enlarging its logits loses less than enlarging shares later."""

    def __init__(self, network: Light | BodyRegions) -> None:
        super().__init__()
        self.network = folded(network)

    def forward(self, image: Tensor) -> Tensor:
        """The mean of the logits over both sizes, weighted, at half the image's size."""
        sides = image.shape[2:]
        half = [side // 2 for side in sides]
        # In whole numbers, which stay open in the graph; to the nearest multiple of 32.
        smaller = [(side * SMALL_TENTHS // 10 + 16) // 32 * 32 for side in sides]
        large, gate = self._look(image)
        small, _ = self._look(_resized(image, smaller))
        share = FASHION_SHARE + (PEOPLE_SHARE - FASHION_SHARE) * gate
        return (1 - share) * _resized(large, half) + share * _resized(small, half)

    def _look(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Logits, and how far the photo is from street fashion, 0 to 1."""
        if isinstance(self.network, BodyRegions):
            return self.network.gated(image)
        return self.network(image), torch.zeros(1, 1, 1, 1)


def _resized(x: Tensor, sides: list[int]) -> Tensor:
    return F.interpolate(x, sides, mode="bilinear", align_corners=False)


def export(shipped: Shipped, out: Path, *, halved: bool) -> None:
    """Write `image` (1, 3, H, W) to `logits` (1, 4, H / 2, W / 2)."""
    example = torch.zeros(1, 3, 384, 256)
    axes = {2: "height", 3: "width"}
    torch.onnx.export(
        shipped,
        (example,),
        str(out),
        input_names=["image"],
        output_names=["logits"],
        dynamic_axes={"image": axes, "logits": {2: "rows", 3: "columns"}},
        opset_version=17,
        dynamo=False,
    )
    if halved:
        onnx.save(_halved(onnx.load(out)), out)


def _halved(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with large weights in float16; whoever opens it casts them back to float32 once."""
    casts = []
    for weight in model.graph.initializer:
        if weight.data_type != TensorProto.FLOAT or np.prod(weight.dims) < _LARGE:
            continue
        name = weight.name
        small = numpy_helper.to_array(weight).astype(np.float16)
        weight.CopyFrom(numpy_helper.from_array(small, f"{name}.half"))
        casts.append(helper.make_node("Cast", [weight.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model)
    return model


def difference(shipped: Shipped, file: Path) -> float:
    """The largest difference between PyTorch's logits and ONNX Runtime's, on noise."""
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    noise = torch.rand(1, 3, 256, 416) * 2 - 1
    with torch.no_grad():
        expected = shipped(noise).numpy()
    (actual,) = session.run(None, {"image": noise.numpy()})
    return float(np.abs(expected - actual).max())


def main(arguments: Sequence[str] | None = None) -> None:
    """Export, and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, required=True, help="mean.pt of training.train")
    parser.add_argument("--out", type=Path, required=True, help="the ONNX file to write")
    parser.add_argument("--light", action="store_true", help="the weights are the light network's")
    options = parser.parse_args(arguments)
    network = Light() if options.light else BodyRegions()
    network.load_state_dict(torch.load(options.weights))
    shipped = Shipped(network).eval()
    export(shipped, options.out, halved=not options.light)
    print(f"{options.out}: logits differ by at most {difference(shipped, options.out):.2e}")


if __name__ == "__main__":
    main()
