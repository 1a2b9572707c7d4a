"""Trains the networks by steps: `python -m training.train --data DIR --people DIR --out DIR …`.

Learning rate and resolution follow the share of the steps that are done, and every step draws its
samples from a seed of its own: a run that was broken off goes on with `--resume` as if it had not
been. What is kept is a running mean of the weights.

    --light ONNX --teachers DIR    the shipped network, from the light one and two published ones
    --start ONNX                   the shipped network, from a file of its own
    --encoder NPZ                  the light network, from ImageNet's weights
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  the name that every torch reader knows
from torch.utils.data import DataLoader, IterableDataset

from training import augment, data, gate, origins, people, scenes
from training.data import GARMENTS, SOMEBODY, Pixels
from training.network import BodyRegions, Light
from training.people import Scene
from training.scores import Likeness, Tally, area_size

Network = BodyRegions | Light

# Height over width of the canvases, and how often each is drawn.
_ASPECTS = (1.5, 1.33, 1.0, 0.75, 0.66)
_SHARES = (0.45, 0.15, 0.10, 0.15, 0.15)

_GATE_PHOTOS = 300  # of street fashion, as many of people, half as many places
_GARMENT_SHARE = 0.3  # of the loss: what the garments' entropy counts for


@dataclass(frozen=True)
class Plan:
    """How long, how fast, how large."""

    steps: int
    seed: int = 0
    alone: float = 1.0  # share of the steps in which only the layers learn that are new
    memory: float = 0.99  # of the running mean of the weights, a step
    batch: int = 8
    new_rate: float = 1e-3
    known_rate: float = 1.5e-4
    decay: float = 0.02
    first_area: int = 384 * 256
    last_area: int = 576 * 384
    sizes: tuple[float, ...] = (1.0, 0.8, 0.6)  # of the area's sides, drawn for each batch
    last_from: float = 0.9
    save: int = 25  # steps between checkpoints
    report: int = 400  # and between figures

    def area(self, step: int) -> int:
        """Pixels of a canvas at its largest size."""
        return self.first_area if step < self.last_from * self.steps else self.last_area

    def rate(self, step: int) -> float:
        """Share of the learning rates at a step."""
        return min(1.0, (step + 1) / 30) * (
            0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(step / self.steps, 1.0)))
        )


class _Batches(IterableDataset[tuple[Tensor, Tensor]]):
    """Batches, each of one canvas size: images B x H x W x 3 and codes B x H x W."""

    def __init__(self, studio: augment.Studio, plan: Plan, first: int) -> None:
        self._studio, self._plan, self._first = studio, plan, first

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        plan = self._plan
        for step in range(self._first, plan.steps):
            rng = np.random.default_rng((plan.seed, step))
            area = int(plan.area(step) * rng.choice(plan.sizes) ** 2)
            height, width = area_size(rng.choice(_ASPECTS, p=_SHARES), 1.0, area)
            pairs = [self._studio.sample(rng, height, width) for _ in range(plan.batch)]
            images, codes = (np.stack(side) for side in zip(*pairs, strict=True))
            yield torch.from_numpy(images), torch.from_numpy(codes)


def _planes(codes: Tensor) -> Tensor:
    """Shares of the four classes, of somebody and of the unknown, B x 6 x H/2 x W/2."""
    codes = codes.long()
    kinds = torch.where(codes < SOMEBODY, codes % 4, codes - SOMEBODY + 4)
    return F.avg_pool2d(F.one_hot(kinds, 6).permute(0, 3, 1, 2).float(), 2)


def loss_of(logits: Tensor, garments: Tensor, codes: Tensor) -> Tensor:
    """Cross-entropy and soft Jaccard of upper, lower and person, at half the canvas' size.

    Somebody of unknown region counts as any of the three, and the unknown not at all. To that a
    share of the garments' cross-entropy, at a quarter of the canvas' size, where they are known.
    """
    quarter = codes[:, 2::4, 2::4].long() // 4
    named = quarter < GARMENTS
    entropies = F.cross_entropy(garments, quarter.clamp(max=GARMENTS - 1), reduction="none")
    clothed = (entropies * named).sum() / named.sum().clamp(min=1)
    shares = _planes(codes)
    logits = F.interpolate(logits, scale_factor=2.0, mode="bilinear", align_corners=False)
    logs = logits.log_softmax(1)
    known = 1 - shares[:, 5]
    entropy = -(shares[:, :4] * logs).sum(1) - shares[:, 4] * logs[:, 1:].logsumexp(1)
    guess = logs.exp()
    terms = []
    for pick, truth, weight in (
        ((2,), (2,), known - shares[:, 4]),
        ((3,), (3,), known - shares[:, 4]),
        ((1, 2, 3), (1, 2, 3, 4), known),
    ):
        p, t = guess[:, pick].sum(1) * weight, shares[:, truth].sum(1)
        both = torch.minimum(p, t).sum()
        terms.append(1 - (both + 1) / (p.sum() + t.sum() - both + 1))
    whole = entropy.sum() / known.sum().clamp(min=1)
    return whole + torch.stack(terms).mean() + _GARMENT_SHARE * clothed


def to_input(images: Tensor) -> Tensor:
    """B x H x W x 3 bytes to the network's normalised NCHW floats."""
    return (images.permute(0, 3, 1, 2).float() - 128) / 128


def _follow(mean: nn.Module, network: nn.Module, keep: float) -> None:
    """Move the mean of the weights a little towards the network's."""
    with torch.no_grad():
        for old, new in zip(mean.state_dict().values(), network.state_dict().values(), strict=True):
            if old.is_floating_point():
                old.lerp_(new, 1 - keep)


def look(network: nn.Module, image: Pixels, area: int) -> Pixels:
    """The likeliest class of every pixel, H x W, after one look at the photo."""
    height, width = area_size(image.shape[0], image.shape[1], area)
    small = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
    with torch.no_grad():
        logits = network(to_input(torch.from_numpy(np.array(small)[None])))
        full = F.interpolate(logits, image.shape[:2], mode="bilinear", align_corners=False)
    return full[0].argmax(0).numpy().astype(np.uint8)


@dataclass(frozen=True)
class Held:
    """What the training never sees: street fashion, people as they are, nobody."""

    fashion: Sequence[data.Photo]
    crowd: Sequence[Scene]
    places: Sequence[Scene]

    def report(self, network: nn.Module, area: int) -> str:
        """Figures after one look at each photo."""
        network.eval()
        tally, likeness, nobody = Tally(), Likeness(), Tally()
        for photo in self.fashion:
            tally.add(look(network, photo.image, area), photo.truth)
        for scene in self.crowd:
            likeness.add(look(network, scene.image, area), scene)
        for scene in self.places:
            nobody.add(look(network, scene.image, area), np.zeros_like(scene.codes))
        found = f"found {100 * nobody.share[2]:.2f} %"
        return f"{tally} | people {likeness.iou:.3f} joints {likeness.placed:.3f} | {found}"


def train(
    network: Network, batches: Iterator[tuple[Tensor, Tensor]], held: Held, plan: Plan, out: Path
) -> None:
    """Train up to the plan's last step; write a checkpoint and the mean weights at every report."""
    checkpoint = out / "checkpoint.pt"
    mean = copy.deepcopy(network)
    known, new = _parameters(network)
    optimiser = torch.optim.AdamW(
        [{"params": known, "rate": plan.known_rate}, {"params": new, "rate": plan.new_rate}],
        weight_decay=plan.decay,
    )
    step, losses = 0, 0.0
    if checkpoint.exists():
        state = torch.load(checkpoint)
        step, losses = state["step"], state["losses"]
        network.load_state_dict(state["network"])
        mean.load_state_dict(state["mean"])
        optimiser.load_state_dict(state["optimiser"])
    spent = time.process_time()
    for images, codes in batches:
        for group in optimiser.param_groups:
            group["lr"] = group["rate"] * plan.rate(step)
        for parameter in known:
            parameter.requires_grad_(step >= plan.alone * plan.steps)
        network.train()
        loss = loss_of(
            *network.both(to_input(images).contiguous(memory_format=torch.channels_last)), codes
        )
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_([*known, *new], 5.0)
        optimiser.step()
        step += 1
        _follow(mean, network, min(plan.memory, step / (step + 60)))
        now = loss.item()
        losses += (now - losses) * (0.01 if step > 1 else 1.0)
        if step % 20 == 0:
            print(
                f"{step:6d} {losses:.3f} {(time.process_time() - spent) / 60:.1f} min", flush=True
            )
        if step % plan.save == 0 or step == plan.steps:
            _write(
                {
                    "step": step, "losses": losses, "network": network.state_dict(),
                    "mean": mean.state_dict(), "optimiser": optimiser.state_dict(),
                },
                checkpoint,
            )  # fmt: skip
            _write(mean.state_dict(), out / "mean.pt")
        if step % plan.report == 0 or step == plan.steps:
            print(f"{step:6d}", held.report(mean, plan.last_area), flush=True)


def _parameters(network: Network) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Those that came with the network, as far as they are to learn, and those that are new."""
    known: list[nn.Parameter] = []
    new: list[nn.Parameter] = []
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            came = name.startswith(("encoder.", "light.", "parts.", "people."))
            (known if came else new).append(parameter)
    return known, new


def _write(state: dict[str, object], file: Path) -> None:
    """Write beside, then rename: what is there is always whole."""
    beside = file.with_suffix(".part")
    torch.save(state, beside)
    beside.rename(file)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the photos, build the network, train."""
    options = _options(arguments)
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    plan = Plan(options.steps, options.seed)
    if options.encoder:
        plan = Plan(options.steps, options.seed, alone=0.0, new_rate=1.5e-3, known_rate=4e-4)
    options.out.mkdir(parents=True, exist_ok=True)
    network = _network(options)
    first = 0
    if (options.out / "checkpoint.pt").exists():
        if not options.resume:
            raise SystemExit(f"{options.out} has a checkpoint: --resume goes on from it")
        first = torch.load(options.out / "checkpoint.pt")["step"]
    studio, held = _photos(options)
    if first == 0 and options.light and isinstance(network, BodyRegions):
        right = gate.fit(network, _whole(studio, plan.seed), plan.last_area, _rng(plan.seed))
        print(f"the gate tells {right:.3f} of the photos right", flush=True)
    loader = DataLoader(_Batches(studio, plan, first), batch_size=None, num_workers=1)
    train(network, iter(loader), held, plan, options.out)


def _network(options: argparse.Namespace) -> Network:
    network: Network
    if options.encoder:
        network = Light()
        network.encoder.load_imagenet(options.encoder)
        network.encoder.hold_shallow()
        return network.to(memory_format=torch.channels_last)
    if options.start:
        network = origins.shipped(options.start)
    else:
        network = origins.begin(
            options.light,
            options.teachers / "bodypix-x050-stride8.onnx",
            options.teachers / "deeplab_logits.tflite",
        )
    network.hold_shallow()
    return network.to(memory_format=torch.channels_last)


def _photos(options: argparse.Namespace) -> tuple[augment.Studio, Held]:
    """What to learn from, and what to judge by on the way."""
    photos = [data.read_photo(options.data, number) for number in data.numbers(options.data)]
    learned = [photo for photo in photos if data.is_learned(photo)]
    fashion = [photo for photo in photos if data.is_validation(photo.number)]
    places: list[Pixels] = []
    crowd: list[Callable[[], augment.Figure]] = []
    weights: list[float] = []
    for folder in options.people:
        for name in people.names(folder, held=False):
            codes = people.read_codes(folder, name)
            if people.is_empty(codes):
                places.append(people.read_scene(folder, name).image)
                continue
            crowd.append(partial(_bystander, folder, name))
            weights.append(augment.weight(name, codes))
    scenes_held = people.read_scenes(options.people[0], held=True)
    drawn = [scene for scene in scenes_held if scene.source in people.TRUE_MASKS]
    there = [scene for scene in drawn if not scene.empty]
    held = Held(fashion[::2], there, [scene for scene in scenes_held if scene.empty][::4])
    rng = np.random.default_rng(options.seed)
    print(
        f"{len(learned)} photos of fashion, {len(crowd)} of people, {len(places)} of places",
        flush=True,
    )
    return augment.Studio(
        [augment.figure(photo) for photo in learned],
        crowd,
        np.array(weights) / max(sum(weights), 1e-9),
        scenes.gather(learned, places, rng),
    ), held


def _rng(seed: int) -> np.random.Generator:
    return np.random.default_rng((seed, 0))


def _whole(studio: augment.Studio, seed: int) -> Iterator[tuple[Pixels, bool]]:
    """Photos as they are, and whether each is street fashion."""
    rng = _rng(seed)
    for index in rng.permutation(len(studio.figures))[:_GATE_PHOTOS]:
        yield np.asarray(studio.figures[index].image), True
    for index in rng.permutation(len(studio.bystanders))[:_GATE_PHOTOS]:
        yield np.asarray(studio.bystanders[index]().image), False
    places = studio.backgrounds.places
    for index in rng.permutation(len(places))[: _GATE_PHOTOS // 2]:
        yield places[index], False


def _bystander(folder: Path, name: str) -> augment.Figure:
    return augment.bystander(people.read_scene(folder, name))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, required=True, help="folder of photos/, regions/, labels/"
    )
    parser.add_argument("--people", type=Path, nargs="+", required=True, help="see training.people")
    begin = parser.add_mutually_exclusive_group(required=True)
    begin.add_argument("--light", type=Path, help="the light network's ONNX file")
    begin.add_argument("--start", type=Path, help="an ONNX file of the shipped network")
    begin.add_argument("--encoder", type=Path, help="ImageNet weights, npz: train the light one")
    parser.add_argument("--teachers", type=Path, help="folder of BodyPix and DeepLab, for --light")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoint and weights")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint")
    parser.add_argument("--steps", type=int, default=2400)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
