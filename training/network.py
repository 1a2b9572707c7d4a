"""The networks: a light one, and the one that is shipped, which has the light one in it.

Input: RGB, NCHW float, `(x - 128) / 128`, height and width multiples of 32. Output: logits of the
four classes at a quarter of the input's size.

`Light` is a MobileNetV2 encoder, global context, and a decoder with skips at four strides. It knows
garments. `BodyRegions` joins it with the encoders of two published networks that know people as
they are: BodyPix (MobileNetV1 0.5, stride 8: which part of a body is where) and DeepLabv3
(MobileNetV2, stride 16: what is a person at all). A small decoder of its own reads all three.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  the name that every torch reader knows
from torch.nn.utils.fusion import fuse_conv_bn_eval

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
_LAST = 13  # the first block of the last stage: the one that a network at stride 16 doesn't halve

# Output channels, stride and dilation of BodyPix's thirteen pairs of convolutions.
_PAIRS = [
    (32, 1, 1), (64, 2, 1), (64, 1, 1), (128, 2, 1), (128, 1, 1), (256, 1, 1),
    *[(256, 1, 2)] * 7,
]  # fmt: skip


class _Inverted(nn.Module):
    """One block: expand, depthwise, project; batch norm is folded into the weights already."""

    def __init__(
        self, inside: int, outside: int, stride: int, expansion: int, dilation: int = 1
    ) -> None:
        super().__init__()
        wide = inside * expansion
        self.expand = nn.Conv2d(inside, wide, 1) if expansion > 1 else None
        self.depthwise = nn.Conv2d(wide, wide, 3, stride, dilation, dilation, groups=wide)
        self.project = nn.Conv2d(wide, outside, 1)
        self.residual = stride == 1 and inside == outside

    def forward(self, x: Tensor) -> Tensor:
        wide = x if self.expand is None else F.relu6(self.expand(x), inplace=True)
        y: Tensor = self.project(F.relu6(self.depthwise(wide), inplace=True))
        return x + y if self.residual else y


class Encoder(nn.Module):
    """MobileNetV2 1.0 without its classifier; gives features at strides 4, 8, 16 and the last.

    The last stride is 32, or 16 with dilated convolutions.
    """

    def __init__(self, last: int = 32) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, 2, 1)
        inside, blocks = 32, []
        for number, (channels, stride, expansion) in enumerate(_BLOCKS):
            dilation = 1
            if last == 16 and number >= _LAST:
                stride, dilation = 1, 1 if number == _LAST else 2
            blocks.append(_Inverted(inside, channels, stride, expansion, dilation))
            inside = channels
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Features at strides 4, 8, 16 and the last."""
        x = F.relu6(self.stem(x), inplace=True)
        features = []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in _SKIPS:
                features.append(x)
        return [*features, x]

    def hold_shallow(self, blocks: int = 3) -> None:
        """Leave the first layers as they came; before stride 8, a third of the time is saved."""
        for layer in (self.stem, *self.blocks[:blocks]):
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


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


class _Rise(nn.Module):
    """Twice the size: upsample, join the encoder's skip, mix."""

    def __init__(self, below: int, skip: int, outside: int) -> None:
        super().__init__()
        self.join = _conv(below + skip, outside, 1)
        self.mix = _conv(outside, outside, 3)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = self.join(torch.cat([_doubled(x), skip], 1))
        mixed: Tensor = x + self.mix(x)
        return mixed


class Light(nn.Module):
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

    def features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What the decoder makes of a photo, B x 80 x H/8 x W/8 and B x 48 x H/4 x W/4."""
        at4, at8, at16, at32 = self.encoder(x)
        at8 = self.rise8(self.rise16(self.context(at32), at16), at8)
        return at8, self.rise4(at8, at4)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the classes, B x 4 x H/4 x W/4."""
        logits: Tensor = self.logits(self.features(x)[1])
        return logits

    def both(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the classes and of the garments, which only training asks for."""
        x = self.features(x)[1]
        return self.logits(x), self.garments(x)


AnyNetwork = TypeVar("AnyNetwork", bound=nn.Module)


def folded(network: AnyNetwork) -> AnyNetwork:
    """A copy for inference, every batch norm merged into the convolution before it."""
    network = copy.deepcopy(network).eval()
    for module in network.modules():
        if isinstance(module, nn.Sequential) and len(module) == 3:  # convolution, norm, ReLU
            convolution, norm = module[0], module[1]
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                module[0] = fuse_conv_bn_eval(convolution, norm)
                module[1] = nn.Identity()
    return network


class Parts(nn.Module):
    """BodyPix's MobileNetV1 0.5 without its heads: B x 256 x H/8 x W/8."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, 2, 1)
        inside, layers = 16, []
        for channels, stride, dilation in _PAIRS:
            layers.append(nn.Conv2d(inside, inside, 3, stride, dilation, dilation, groups=inside))
            layers.append(nn.Conv2d(inside, channels, 1))
            inside = channels
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        """What BodyPix's heads would look at."""
        x = F.relu6(self.stem(x), inplace=True)
        for layer in self.layers:
            x = F.relu6(layer(x), inplace=True)
        return x

    def hold_shallow(self) -> None:
        """Leave the layers before stride 8 as they came."""
        for layer in (self.stem, *self.layers[:6]):
            layer.requires_grad_(False)


class People(nn.Module):
    """DeepLabv3's MobileNetV2 and its view of the whole photo: B x 256 x H/16 x W/16."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder(last=16)
        self.near = nn.Conv2d(320, 256, 1)
        self.whole = nn.Conv2d(320, 256, 1)
        self.project = nn.Conv2d(512, 256, 1)

    def forward(self, x: Tensor) -> Tensor:
        """What DeepLab's head would look at."""
        x = self.encoder(x)[-1]
        whole = F.relu6(self.whole(x.mean((2, 3), keepdim=True)))
        near = F.relu6(self.near(x))
        joined = torch.cat([whole.expand(-1, -1, *near.shape[2:]), near], 1)
        return F.relu6(self.project(joined))


_SEEN = (
    256 + 256 + 80
)  # channels that the decoder begins with: BodyPix's, DeepLab's, the light one's


class BodyRegions(nn.Module):
    """Photo to logits of background, person elsewhere, upper body, lower body at stride 4.

    There is no batch norm in it, so that the weights of a shipped file are all that it has.
    """

    def __init__(self) -> None:
        super().__init__()
        light = folded(Light())
        del light.garments
        self.light = light
        self.parts, self.people = Parts(), People()
        self.gate = nn.Conv2d(_SEEN, 1, 1)
        self.join8 = nn.Conv2d(_SEEN, 128, 1)
        self.wide8 = nn.Conv2d(128, 128, 5, padding=4, dilation=2, groups=128)
        self.deep8 = nn.Conv2d(128, 128, 1)
        self.mix8 = nn.Conv2d(128, 128, 3, padding=1)
        self.join4 = nn.Conv2d(128 + 48, 64, 1)
        self.mix4 = nn.Conv2d(64, 64, 3, padding=1)
        self.logits = nn.Conv2d(64, len(CLASSES), 1)
        self.garments = nn.Conv2d(64, GARMENTS, 1)
        for parameter in self.logits.parameters():  # it begins as the light one
            nn.init.zeros_(parameter)

    def seen(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What the three see, B x 592 x H/8 x W/8, and the light one's B x 48 x H/4 x W/4."""
        light8, light4 = self.light.features(x)
        return torch.cat([self.parts(x), _doubled(self.people(x)), light8], 1), light4

    def _everything(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits of the classes and of the garments, and the gate.

        What the whole photo says decides how far the light network is left alone.
        """
        x, light4 = self.seen(x)
        gate = torch.sigmoid(self.gate(x.mean((2, 3), keepdim=True)))
        x = F.relu(self.join8(x))
        x = x + F.relu(self.deep8(F.relu(self.wide8(x))))
        x = x + F.relu(self.mix8(x))
        x = F.relu(self.join4(torch.cat([_doubled(x), light4], 1)))
        x = x + F.relu(self.mix4(x))
        return self.light.logits(light4) + gate * self.logits(x), self.garments(x), gate

    def both(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the classes and of the garments, which only training asks for."""
        logits, garments, _ = self._everything(x)
        return logits, garments

    def gated(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the classes, and the gate, B x 1 x 1 x 1: near 0 for street fashion."""
        logits, _, gate = self._everything(x)
        return logits, gate

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the classes, B x 4 x H/4 x W/4."""
        return self.both(x)[0]

    def hold_shallow(self) -> None:
        """Leave the layers before stride 8 as they came; of DeepLab's, all but the last two stages.

        DeepLab's have learned from far more photos of people than there are here.
        """
        self.light.encoder.hold_shallow()
        self.parts.hold_shallow()
        self.people.encoder.hold_shallow(_LAST - 3)
