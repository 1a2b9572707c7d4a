"""The network: a MobileNetV2 encoder, global context, and a decoder with skips at four strides.

Input: RGB, NCHW float, `(x - 128) / 128`, height and width multiples of 32. Output: logits of the
four classes at a quarter of the input's size.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  the name that every torch reader knows

from training.data import GARMENTS

CLASSES = ("background", "person", "upper_body", "lower_body")
STRIDE = 4

# Output channels, stride and expansion of MobileNetV2's seventeen blocks.
_BLOCKS = [
    (channels, stride if first else 1, expansion)
    for expansion, channels, repeats, stride in [
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ]
    for first in [True] + [False] * (repeats - 1)
]
_SKIPS = (2, 5, 12)  # the last blocks with 24, 32 and 96 channels: strides 4, 8 and 16


class _Inverted(nn.Module):
    """One block: expand, depthwise, project; batch norm is folded into the weights already."""

    def __init__(self, inside: int, outside: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inside * expansion
        self.expand = nn.Conv2d(inside, wide, 1) if expansion > 1 else None
        self.depthwise = nn.Conv2d(wide, wide, 3, stride, 1, groups=wide)
        self.project = nn.Conv2d(wide, outside, 1)
        self.residual = stride == 1 and inside == outside

    def forward(self, x: Tensor) -> Tensor:
        wide = x if self.expand is None else F.relu6(self.expand(x), inplace=True)
        y: Tensor = self.project(F.relu6(self.depthwise(wide), inplace=True))
        return x + y if self.residual else y


class Encoder(nn.Module):
    """MobileNetV2 1.0 without its classifier; gives features at strides 4, 8, 16 and 32."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, 2, 1)
        inside, blocks = 32, []
        for channels, stride, expansion in _BLOCKS:
            blocks.append(_Inverted(inside, channels, stride, expansion))
            inside = channels
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Features at strides 4, 8, 16 and 32."""
        x = F.relu6(self.stem(x), inplace=True)
        features = []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in _SKIPS:
                features.append(x)
        return [*features, x]

    def hold_shallow(self) -> None:
        """Leave the layers before stride 8 as ImageNet taught them: a third of the time saved."""
        for layer in (self.stem, *self.blocks[:3]):
            layer.requires_grad_(False)

    def load_imagenet(self, weights: Path) -> None:
        """Fill every convolution from the npz of dequantised ImageNet weights."""
        arrays = np.load(weights)
        state = {}
        for name in arrays.files:
            key = name
            if name.startswith("block"):
                block, rest = name.split(".", 1)
                key = f"blocks.{int(block.removeprefix('block'))}.{rest}"
            state[key] = torch.from_numpy(arrays[name])
        self.load_state_dict(state)


def _conv(inside: int, outside: int, size: int, *, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, size, padding=size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU(inplace=True),
    )


class _Context(nn.Module):
    """What the whole photo says: wide depthwise convolutions and a mean over all places."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.enter = _conv(inside, outside, 1)
        self.near, self.middle, self.far = (
            nn.Sequential(_conv(outside, outside, 5, groups=outside), _conv(outside, outside, 1))
            for _ in range(3)
        )
        self.whole = nn.Conv2d(outside, outside, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x)
        x = x + self.near(x)
        x = x + self.middle(x)
        x = x + self.far(x)
        gated: Tensor = x * torch.sigmoid(self.whole(x.mean((2, 3), keepdim=True)))
        return gated


class _Rise(nn.Module):
    """Twice the size: upsample, join the encoder's skip, mix."""

    def __init__(self, below: int, skip: int, outside: int) -> None:
        super().__init__()
        self.join = _conv(below + skip, outside, 1)
        self.mix = _conv(outside, outside, 3)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
        x = self.join(torch.cat([x, skip], 1))
        mixed: Tensor = x + self.mix(x)
        return mixed


class BodyRegions(nn.Module):
    """Photo to logits of background, person elsewhere, upper body, lower body at stride 4."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder()
        self.context = _Context(320, 256)
        self.rise16 = _Rise(256, 96, 128)
        self.rise8 = _Rise(128, 32, 80)
        self.rise4 = _Rise(80, 24, 48)
        self.logits = nn.Conv2d(48, len(CLASSES), 1)
        self.garments = nn.Conv2d(48, GARMENTS, 1)

    def features(self, x: Tensor) -> Tensor:
        """What both heads look at, B x 48 x H/4 x W/4."""
        at4, at8, at16, at32 = self.encoder(x)
        x = self.rise16(self.context(at32), at16)
        features: Tensor = self.rise4(self.rise8(x, at8), at4)
        return features

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the classes, B x 4 x H/4 x W/4."""
        logits: Tensor = self.logits(self.features(x))
        return logits

    def both(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the classes and of the garments, which only training asks for."""
        x = self.features(x)
        return self.logits(x), self.garments(x)
