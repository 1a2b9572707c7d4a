"""Light and camera: brightness, colour, grey, dark, blur, motion, sharpening, noise, JPEG."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageFilter

from training.data import Floats, Pixels


def varied(rng: np.random.Generator, image: Pixels) -> Pixels:
    """The image under another light, through another camera."""
    colour: Floats = image.astype(np.float32)
    if rng.random() < 0.65:
        colour = _balance(rng, colour)
    if rng.random() < 0.10:
        colour = _dark(rng, colour)
    if rng.random() < 0.08:
        colour = np.repeat(colour @ np.array([[0.299], [0.587], [0.114]], np.float32), 3, -1)
        colour = colour * rng.uniform(0.96, 1.04, 3) if rng.random() < 0.3 else colour
    seen = np.clip(colour, 0, 255).astype(np.uint8)
    return _camera(rng, seen)


def _balance(rng: np.random.Generator, colour: Floats) -> Floats:
    """Brightness, contrast, saturation and white balance."""
    grey = colour.mean(-1, keepdims=True)
    colour = grey + (colour - grey) * rng.uniform(0.5, 1.5)
    if rng.random() < 0.08:
        colour = colour[..., rng.permutation(3)]
    middle = float(grey.mean())
    colour = middle + (colour - middle) * rng.uniform(0.65, 1.35)
    return colour * rng.uniform(0.92, 1.08, 3).astype(np.float32) + rng.uniform(-35, 35)


def _dark(rng: np.random.Generator, colour: Floats) -> Floats:
    """Underexposed: a power or a factor, and the noise that goes with it."""
    if rng.random() < 0.5:
        colour = 255 * (np.clip(colour, 0, 255) / 255) ** rng.uniform(1.4, 2.8)
    colour = colour * rng.uniform(0.15, 0.6)
    return colour + rng.normal(0, rng.uniform(0, 5), colour.shape)


def _moved(rng: np.random.Generator, image: Pixels) -> Pixels:
    """Blurred along a line, as by a moving camera, round the edges."""
    angle, length = rng.uniform(0, np.pi), int(rng.integers(3, 13))
    steps = np.arange(length) - length // 2
    moves = np.rint(np.outer(steps, (np.sin(angle), np.cos(angle)))).astype(int)
    seen = [np.roll(image, (int(down), int(right)), (0, 1)) for down, right in moves]
    blurred: Pixels = np.stack(seen).mean(0).astype(np.uint8)
    return blurred


def _camera(rng: np.random.Generator, image: Pixels) -> Pixels:
    seen = Image.fromarray(image)
    kind = rng.random()
    if kind < 0.06:
        seen = seen.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.4, 3.0))))
    elif kind < 0.08:
        seen = Image.fromarray(_moved(rng, image))
    elif kind < 0.11:
        small = (max(seen.width // 3, 1), max(seen.height // 3, 1))
        seen = seen.resize(small, Image.Resampling.BILINEAR).resize(
            seen.size, Image.Resampling.BICUBIC
        )
    elif kind < 0.18:
        seen = seen.filter(
            ImageFilter.UnsharpMask(float(rng.uniform(0.5, 2)), int(rng.integers(30, 200)), 0)
        )
    if rng.random() < 0.06:
        packed = io.BytesIO()
        seen.save(packed, "JPEG", quality=int(rng.integers(15, 70)))
        seen = Image.open(packed)
    pixels = np.asarray(seen)
    if rng.random() < 0.08:
        noise = rng.normal(0, rng.uniform(2, 14), pixels.shape)
        pixels = np.clip(pixels + noise, 0, 255).astype(np.uint8)
    return pixels
