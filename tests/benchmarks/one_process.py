"""One process and no services: what the cores can do with these photos and this model."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from consumer.app import load_models
from consumer.settings import ImageSettings, Settings
from segmentation.deadline import Deadline
from segmentation.model.engine import Engine, Tensor
from segmentation.model.placement import place
from segmentation.model.preprocess import preprocess
from segmentation.photo.decode import decode
from segmentation.photo.limits import ImageLimits
from segmentation.segment import segment

T = TypeVar("T")

_SECONDS = 600.0


def default_model(settings: Settings) -> Engine:
    """The default body model, with the threads that the consumer gives it."""
    return load_models(settings).model(None)


def image_limits(images: ImageSettings) -> ImageLimits:
    """What a photo may be, as the consumer has it."""
    return ImageLimits(
        max_bytes=images.max_image_bytes,
        max_pixels=images.max_image_pixels,
        formats=frozenset(images.image_formats),
    )


def tensor_of(photo: bytes, model: Engine, limits: ImageLimits) -> Tensor:
    """The model's input for a photo."""
    expected = model.manifest.input

    def enough(width: int, height: int) -> tuple[int, int]:
        at = place(expected, width, height)
        return at.inner_width, at.inner_height

    decoded = decode(photo, limits=limits, deadline=Deadline(_SECONDS), sufficient_size=enough)
    return preprocess(decoded.picture, expected, place(expected, decoded.width, decoded.height))


def bare_inference(tensors: Sequence[Tensor], model: Engine, settings: Settings) -> float:
    """Seconds that the network alone takes for all tensors."""
    return _timed(
        lambda tensor: model.run(tensor, Deadline(_SECONDS)),
        tensors,
        threads=settings.line.worker_count,
    )


def whole_way(photos: Sequence[bytes], model: Engine, settings: Settings) -> float:
    """Seconds from all photos' bytes to their masks as PNG."""
    limits = image_limits(settings.images)

    def work(photo: bytes) -> object:
        return segment(photo, model=model, outputs=None, limits=limits, deadline=Deadline(_SECONDS))

    return _timed(work, photos, threads=settings.line.worker_count)


def _timed(work: Callable[[T], object], todo: Sequence[T], *, threads: int) -> float:
    with ThreadPoolExecutor(threads) as executor:
        begin = time.perf_counter()
        for _ in executor.map(work, todo):
            pass
        return time.perf_counter() - begin
