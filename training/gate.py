"""The gate of the shipped network: how far its light network is left alone with a photo.

It is a logistic regression on the mean of what the three encoders see: 0 for street fashion, which
the light network knows best, 1 for everything else. Training goes on from there.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  the name that every torch reader knows

from training.data import Pixels
from training.network import BodyRegions
from training.scores import area_size

_RIDGE = 0.03
_ROUNDS = 3000
_RATE = 0.3
_SMALL = 0.36  # of the area: what the second look sees
_SMALL_SHARE = 0.8


def fit(
    network: BodyRegions, photos: Iterable[tuple[Pixels, bool]], area: int, rng: np.random.Generator
) -> float:
    """Set the gate's weights from photos, each with whether it is street fashion.

    Returns the share of the photos that it tells right.
    """
    seen, others = [], []
    for image, fashion in photos:
        share = _SMALL if rng.random() < _SMALL_SHARE else 1.0
        seen.append(_seen(network, image, int(area * share)))
        others.append(0.0 if fashion else 1.0)
    features, truth = torch.cat(seen), torch.tensor(others)
    mean, spread = features.mean(0), features.std(0) + 1e-3
    scaled = (features - mean) / spread
    weight, bias = torch.zeros(features.shape[1]), torch.zeros(())
    for _ in range(_ROUNDS):
        wrong = torch.sigmoid(scaled @ weight + bias) - truth
        weight -= _RATE * (scaled.T @ wrong / len(truth) + _RIDGE * weight)
        bias -= _RATE * wrong.mean()
    folded = weight / spread
    with torch.no_grad():
        network.gate.weight.copy_(folded[None, :, None, None])
        network.gate.bias.copy_(bias - folded @ mean)  # type: ignore[union-attr]
    right = ((scaled @ weight + bias > 0) == (truth > 0.5)).float().mean()
    return float(right)


def _seen(network: BodyRegions, image: Pixels, area: int) -> Tensor:
    """The mean of what the encoders see, 1 x 592."""
    height, width = area_size(image.shape[0], image.shape[1], area)
    small = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
    pixels = torch.from_numpy(np.array(small, np.float32)).permute(2, 0, 1)[None]
    with torch.no_grad():
        return F.adaptive_avg_pool2d(network.seen((pixels - 128) / 128)[0], 1).flatten(1)
