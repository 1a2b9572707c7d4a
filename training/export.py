"""Writes trained weights as ONNX: `python -m training.export --weights FILE --out FILE`.

Batch norm is folded into the convolutions. Height and width stay open; they must be multiples
of 32. What goes out looks at the photo at two sizes and takes the mean: large for the outlines,
small for what is a coat and what a dress.
"""

from __future__ import annotations

import argparse
import copy
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  the name that every torch reader knows
from torch.nn.utils.fusion import fuse_conv_bn_eval

from training.network import BodyRegions

TENTHS = (10, 6)  # of the input's sides: the sizes that the network looks at


def folded(network: nn.Module) -> nn.Module:
    """A copy for inference, every batch norm merged into the convolution before it."""
    network = copy.deepcopy(network).eval()
    for module in network.modules():
        if isinstance(module, nn.Sequential) and len(module) == 3:  # convolution, norm, ReLU
            convolution, norm = module[0], module[1]
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                module[0] = fuse_conv_bn_eval(convolution, norm)
                module[1] = nn.Identity()
    return network


class Shipped(nn.Module):
    """The network as it goes out: enlarging its logits loses less than enlarging shares later."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = folded(network)

    def forward(self, image: Tensor) -> Tensor:
        """The mean of the logits over both sizes, at half the image's size."""
        sides = image.shape[2:]
        seen = []
        for tenths in TENTHS:
            # In whole numbers, which stay open in the graph; to the nearest multiple of 32.
            smaller = [(side * tenths // 10 + 16) // 32 * 32 for side in sides]
            logits = self.network(image if tenths == 10 else _resized(image, smaller))
            seen.append(_resized(logits, [side // 2 for side in sides]))
        return torch.stack(seen).mean(0)


def _resized(x: Tensor, sides: list[int]) -> Tensor:
    return F.interpolate(x, sides, mode="bilinear", align_corners=False)


def export(shipped: Shipped, out: Path) -> None:
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


def difference(shipped: Shipped, file: Path) -> float:
    """The largest difference between PyTorch's logits and ONNX Runtime's, on noise."""
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    noise = torch.rand(1, 3, 256, 416) * 2 - 1
    with torch.no_grad():
        expected = shipped(noise).numpy()
    (actual,) = session.run(None, {"image": noise.numpy()})
    return float(np.abs(expected - actual).max())


def main() -> None:
    """Export, and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, required=True, help="what training.train wrote")
    parser.add_argument("--out", type=Path, required=True, help="the ONNX file to write")
    options = parser.parse_args()
    network = BodyRegions()
    network.load_state_dict(torch.load(options.weights))
    shipped = Shipped(network).eval()
    export(shipped, options.out)
    print(f"{options.out}: logits differ by at most {difference(shipped, options.out):.2e}")


if __name__ == "__main__":
    main()
