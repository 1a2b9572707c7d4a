"""Trains the network by the clock: `python -m training.train --data DIR --encoder NPZ --out FILE`.

Learning rate and resolution follow the share of the time that has passed, so that a run ends when
it should on any machine. What is kept is a running mean of the weights.
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  the name that every torch reader knows
from torch.utils.data import DataLoader, IterableDataset

from training import augment, data, scenes
from training.network import BodyRegions
from training.scores import Tally, area_size

# Height over width of the canvases, and how often each is drawn.
_ASPECTS = (1.5, 1.33, 1.0, 0.75, 0.62)
_SHARES = (0.68, 0.08, 0.08, 0.08, 0.08)

_GARMENT_SHARE = 0.3  # of the loss: what the garments' entropy counts for


@dataclass(frozen=True)
class Plan:
    """How long, how fast, how large."""

    minutes: float
    begin: float = 0.0  # share of the schedule that earlier runs have done
    memory: float = 0.995  # of the running mean of the weights, a step
    batch: int = 8
    decoder_rate: float = 1.5e-3
    encoder_rate: float = 4e-4
    decay: float = 0.02
    first_area: int = 384 * 256
    last_area: int = 576 * 384
    sizes: tuple[float, ...] = (1.0, 0.8, 0.6)  # of the area's sides, drawn for each batch
    last_from: float = 0.45
    report_minutes: float = 4.0


class _Batches(IterableDataset[tuple[Tensor, Tensor]]):
    """Endless batches, each of one canvas size: images B x H x W x 3 and codes B x H x W."""

    def __init__(
        self, studio: augment.Studio, plan: Plan, area: Synchronized[int], seed: int
    ) -> None:
        self._studio, self._plan, self._area, self._seed = studio, plan, area, seed

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        rng = np.random.default_rng(self._seed)
        while True:
            area = int(self._area.value * rng.choice(self._plan.sizes) ** 2)
            height, width = area_size(rng.choice(_ASPECTS, p=_SHARES), 1.0, area)
            pairs = [self._studio.sample(rng, height, width) for _ in range(self._plan.batch)]
            images, codes = (np.stack(side) for side in zip(*pairs, strict=True))
            yield torch.from_numpy(images), torch.from_numpy(codes)


def loss_of(logits: Tensor, garments: Tensor, codes: Tensor) -> Tensor:
    """Cross-entropy and soft Jaccard of upper, lower and person, at half the canvas' size.

    To that a share of the garments' cross-entropy, at a quarter of the canvas' size.
    """
    quarter = codes[:, 2::4, 2::4].long()
    named = F.cross_entropy(garments.float(), quarter // 4)
    shares = F.one_hot(codes.long() % 4, 4).permute(0, 3, 1, 2).float()
    shares = F.avg_pool2d(shares, 2)
    logits = F.interpolate(logits.float(), scale_factor=2.0, mode="bilinear", align_corners=False)
    logs = logits.log_softmax(1)
    entropy = -(shares * logs).sum(1).mean()
    guess = logs.exp()
    terms = []
    for pick in ((2,), (3,), (1, 2, 3)):
        p, t = guess[:, pick].sum(1), shares[:, pick].sum(1)
        both = torch.minimum(p, t).sum()
        terms.append(1 - (both + 1) / (p.sum() + t.sum() - both + 1))
    return entropy + torch.stack(terms).mean() + _GARMENT_SHARE * named


def to_input(images: Tensor) -> Tensor:
    """B x H x W x 3 bytes to the network's normalised NCHW floats."""
    return (images.permute(0, 3, 1, 2).float() - 128) / 128


def _follow(mean: nn.Module, network: nn.Module, keep: float) -> None:
    """Move the mean of the weights a little towards the network's."""
    with torch.no_grad():
        for old, new in zip(mean.state_dict().values(), network.state_dict().values(), strict=True):
            if old.is_floating_point():
                old.lerp_(new, 1 - keep)


def validate(network: nn.Module, photos: list[data.Photo], area: int) -> Tally:
    """Pooled-pixel IoU on whole photos at their own size."""
    from PIL import Image

    network.eval()
    tally = Tally()
    for photo in photos:
        height, width = area_size(photo.truth.shape[0], photo.truth.shape[1], area)
        small = Image.fromarray(photo.image).resize((width, height), Image.Resampling.BILINEAR)
        with torch.no_grad():
            logits = network(to_input(torch.from_numpy(np.array(small)[None])))
            full = F.interpolate(logits, photo.truth.shape, mode="bilinear", align_corners=False)
        tally.add(full[0].argmax(0).numpy().astype(np.uint8), photo.truth)
    return tally


def _rate(progress: float, step: int) -> float:
    warm = min(1.0, (step + 1) / 30)
    return warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0))))


def train(
    network: BodyRegions, batches: Iterator[tuple[Tensor, Tensor]], held: list[data.Photo],
    plan: Plan, area: Synchronized[int], out: Path,
) -> None:  # fmt: skip
    """Train until the plan's minutes are over; write the mean weights at every report."""
    mean = copy.deepcopy(network)
    encoder = list(network.encoder.parameters())
    rest = [p for name, p in network.named_parameters() if not name.startswith("encoder.")]
    optimiser = torch.optim.AdamW(
        [
            {"params": encoder, "rate": plan.encoder_rate},
            {"params": rest, "rate": plan.decoder_rate},
        ],
        weight_decay=plan.decay,
    )
    start, reported, step, losses = time.monotonic(), 0.0, 0, 0.0
    while (passed := (time.monotonic() - start) / 60) < plan.minutes:
        progress = plan.begin + (1 - plan.begin) * passed / plan.minutes
        area.value = plan.first_area if progress < plan.last_from else plan.last_area
        for group in optimiser.param_groups:
            group["lr"] = group["rate"] * _rate(progress, step)
        images, codes = next(batches)
        network.train()
        with torch.autocast("cpu", torch.bfloat16):
            logits, garments = network.both(to_input(images))
        loss = loss_of(logits, garments, codes)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        step += 1
        _follow(mean, network, min(plan.memory, step / (step + 60)))
        now = loss.item()
        losses += (now - losses) * (0.01 if step > 1 else 1.0)
        if passed - reported > plan.report_minutes:
            reported = passed
            print(f"{passed:6.1f} min {step:6d} steps loss {losses:.3f}", end=" ", flush=True)
            print(validate(mean, held, plan.last_area), flush=True)
            torch.save(mean.state_dict(), out)
    print(f"done: {step} steps", validate(mean, held, plan.last_area), flush=True)
    torch.save(mean.state_dict(), out)


def main() -> None:
    """Read the photos, build the network, train."""
    options = _options()
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    folder: Path = options.data
    photos = [data.read_photo(folder, number) for number in data.numbers(folder)]
    learned = [photo for photo in photos if data.is_learned(photo)]
    held = [photo for photo in photos if data.is_validation(photo.number)]
    backgrounds = scenes.gather(learned, np.random.default_rng(options.seed))
    studio = augment.Studio([augment.figure(photo) for photo in learned], backgrounds)
    network = BodyRegions()
    network.encoder.load_imagenet(options.encoder)
    if options.resume:
        network.load_state_dict(torch.load(options.resume))
    plan = Plan(minutes=options.minutes, begin=options.begin)
    area: Synchronized[int] = torch.multiprocessing.Value("i", plan.first_area)
    stream = _Batches(studio, plan, area, options.seed)
    loader = DataLoader(stream, batch_size=None, num_workers=1, prefetch_factor=4)
    print(f"{len(learned)} photos to learn from, {len(held)} held out", flush=True)
    network.encoder.hold_shallow()
    network = network.to(memory_format=torch.channels_last)
    train(network, iter(loader), held, plan, area, options.out)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, required=True, help="folder of photos/, regions/, labels/"
    )
    parser.add_argument("--encoder", type=Path, required=True, help="ImageNet weights, npz")
    parser.add_argument("--out", type=Path, required=True, help="where the weights go")
    parser.add_argument("--resume", type=Path, help="weights to start from")
    parser.add_argument("--begin", type=float, default=0.0, help="enter the schedule at this share")
    parser.add_argument("--minutes", type=float, default=90.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
