"""Segments one photo: decodes it, runs the model, makes the masks and encodes them as PNG."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from time import perf_counter
from types import MappingProxyType

import numpy as np

from segmentation.deadline import Deadline
from segmentation.errors import UnsupportedOutput
from segmentation.masks.confidence import without_unsure
from segmentation.masks.masks import Mask, body_masks, enlarge, seg_map
from segmentation.masks.matte import matte_plane
from segmentation.masks.png import encode_cutout, encode_flat, encode_matte
from segmentation.masks.regions import class_planes, find_regions
from segmentation.model.engine import Engine, Tensor
from segmentation.model.manifest import Manifest
from segmentation.model.placement import Placement, place
from segmentation.model.preprocess import preprocess
from segmentation.photo.decode import Photo, decode
from segmentation.photo.limits import ImageLimits, Size

__all__ = ["ImageLimits", "Segmentation", "segment"]


@dataclass(frozen=True, slots=True)
class Segmentation:
    """The masks of one photo."""

    width: int
    """Width of the upright photo and of every mask, in pixels."""
    height: int
    """Height of the upright photo and of every mask, in pixels."""
    files: Mapping[str, bytes]
    """PNG files by output name, in the order in which they were requested."""
    coverage: Mapping[str, float]
    """Share of the photo that each body mask covers, 0 to 1, by output name."""
    timings_ms: Mapping[str, float]
    """Milliseconds of `preprocess` (including decoding), `segment` (the network) and `masks`."""


def segment(
    photo: bytes,
    *,
    model: Engine,
    outputs: Sequence[str] | None,
    limits: ImageLimits,
    deadline: Deadline,
) -> Segmentation:
    """Decode a photo, run the model, and encode the masks. It blocks, so call it in a thread.

    Args:
        photo: The file.
        model: A model of the catalog. Several calls may share it.
        outputs: Names of the outputs. None: those in the model's manifest.
        limits: The photo must be within these.
        deadline: Ends the work. Each call needs one of its own.

    Raises:
        SegmentationError: No masks can be made of this photo, or not as requested.
        ModelError: The model failed.
        EngineUnavailable: The server that runs the model can't run it now.
    """
    requested = _requested_outputs(model.manifest, outputs)
    began = perf_counter()
    decoded, placement, tensor = _preprocess(photo, model.manifest, requested, limits, deadline)
    prepared = perf_counter()
    result = model.run(tensor, deadline)
    ran = perf_counter()
    masks = _masks(result, model.manifest, placement, (decoded.width, decoded.height), requested)
    files, coverage = {}, {}
    for name, mask in masks:
        files[name] = _encode(name, mask, decoded, deadline)
        if name in ("upper_body_mask", "lower_body_mask"):
            coverage[name] = int(np.count_nonzero(mask)) / mask.size
    deadline.check()
    marks = (began, prepared, ran, perf_counter())
    return Segmentation(
        width=decoded.width,
        height=decoded.height,
        files=MappingProxyType({name: files[name] for name in requested}),
        coverage=MappingProxyType(coverage),
        timings_ms=MappingProxyType(_timings(marks)),
    )


def _requested_outputs(manifest: Manifest, outputs: Sequence[str] | None) -> list[str]:
    requested = list(dict.fromkeys(manifest.outputs if outputs is None else outputs))
    if not requested:
        raise UnsupportedOutput("The job requests no output.")
    if missing := [name for name in requested if name not in manifest.possible]:
        raise UnsupportedOutput(
            f"The model {manifest.name!r} can't give {', '.join(missing)}; "
            f"it gives {', '.join(manifest.possible)}."
        )
    return requested


def _preprocess(
    photo: bytes,
    manifest: Manifest,
    requested: Sequence[str],
    limits: ImageLimits,
    deadline: Deadline,
) -> tuple[Photo, Placement, Tensor]:
    """Return the decoded photo, where it lies in the model's input, and the model's input."""

    def sufficient_size(width: int, height: int) -> Size:
        placement = place(manifest.input, width, height)
        return placement.inner_width, placement.inner_height

    deadline.check()
    full_size = "cutout" in requested  # only the cutout contains the photo's pixels
    decoded = decode(
        photo,
        limits=limits,
        deadline=deadline,
        sufficient_size=None if full_size else sufficient_size,
    )
    placement = place(manifest.input, decoded.width, decoded.height)
    return decoded, placement, preprocess(decoded.picture, manifest.input, placement)


def _masks(
    result: Tensor, manifest: Manifest, placement: Placement, size: Size, requested: Sequence[str]
) -> Iterator[tuple[str, Mask]]:
    """Yield the requested masks by output name. Making them one by one saves memory."""
    corners = manifest.output.align_corners
    if manifest.classes is None:
        plane = matte_plane(result, manifest.output)
        box = placement.box(plane.shape[1], plane.shape[0], align_corners=corners)
        matte = enlarge(plane, box, size, lanczos=True)
        yield from ((name, matte) for name in requested)
        return
    planes = class_planes(result, manifest)
    if manifest.classes.min_confidence:
        planes = without_unsure(planes, manifest.classes)
    box = placement.box(planes.shape[2], planes.shape[1], align_corners=corners)
    regions = find_regions(planes, manifest.classes, box)
    if "upper_body_mask" in requested or "lower_body_mask" in requested:
        pair = zip(
            ("upper_body_mask", "lower_body_mask"), body_masks(regions, box, size), strict=True
        )
        yield from ((name, mask) for name, mask in pair if name in requested)
    if "seg_map" in requested:
        yield "seg_map", seg_map(planes, box, size)
    if "alpha_mask" in requested or "cutout" in requested:
        matte = enlarge(regions.person, box, size)
        yield from ((name, matte) for name in ("alpha_mask", "cutout") if name in requested)


def _encode(name: str, mask: Mask, decoded: Photo, deadline: Deadline) -> bytes:
    if name == "cutout":
        return encode_cutout(decoded.picture, mask, deadline)
    if name == "alpha_mask":
        return encode_matte(mask, deadline)
    return encode_flat(mask, deadline)


def _timings(marks: tuple[float, ...]) -> dict[str, float]:
    names = ("preprocess", "segment", "masks")
    return {
        name: (end - start) * 1000
        for name, (start, end) in zip(names, pairwise(marks), strict=True)
    }
