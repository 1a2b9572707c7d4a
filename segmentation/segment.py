"""The straight way: a photo's bytes in, its masks as PNG out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from time import perf_counter
from types import MappingProxyType

import numpy as np

from segmentation.deadline import Deadline
from segmentation.errors import UnsupportedOutput
from segmentation.masks.masks import Mask, body_masks, enlarge, seg_map
from segmentation.masks.matte import matte_plane
from segmentation.masks.png import encode_cutout, encode_flat, encode_matte
from segmentation.masks.regions import class_planes, find_regions
from segmentation.model.engine import Engine, Tensor
from segmentation.model.manifest import Manifest
from segmentation.model.placement import Placement, place
from segmentation.model.preprocess import preprocess
from segmentation.photo.decode import ImageLimits, Photo, Size, decode

__all__ = ["ImageLimits", "Segmentation", "segment"]


@dataclass(frozen=True, slots=True)
class Segmentation:
    """What became of one photo."""

    width: int
    """Width of the upright photo and of every file, in pixels."""
    height: int
    """Height of the upright photo and of every file, in pixels."""
    files: Mapping[str, bytes]
    """PNG by output name, in the order asked for."""
    coverage: Mapping[str, float]
    """Share of 255 pixels, 0 to 1, by the name of each binary mask."""
    timings_ms: Mapping[str, float]
    """Milliseconds of `preprocess` (decoding included), `segment` (the network) and `masks`."""


def segment(
    photo: bytes,
    *,
    model: Engine,
    outputs: Sequence[str] | None,
    limits: ImageLimits,
    deadline: Deadline,
) -> Segmentation:
    """Decode a photo, run the model, and encode the masks. Blocks; call it in a thread.

    Args:
        photo: The file, in any of `limits.formats`.
        model: From the catalog; several calls may share it.
        outputs: Names of the contract; None is the model's own defaults.
        limits: What the photo may be.
        deadline: Ends the work; one for each call.

    Raises:
        SegmentationError: The photo or the request is at fault (see `errors`).
        ModelError: The model failed.
        EngineUnavailable: The server that runs the model serves no photo now.
    """
    wanted = _requested_outputs(model.manifest, outputs)
    began = perf_counter()
    decoded, at, tensor = _prepare(photo, model.manifest, wanted, limits, deadline)
    prepared = perf_counter()
    result = model.run(tensor, deadline)
    ran = perf_counter()
    masks = _masks(result, model.manifest, at, (decoded.width, decoded.height), wanted)
    files, coverage = {}, {}
    for name, mask in masks:
        files[name] = _encoded(name, mask, decoded, deadline)
        if name in ("upper_body_mask", "lower_body_mask"):
            coverage[name] = int(np.count_nonzero(mask)) / mask.size
    deadline.check()
    marks = (began, prepared, ran, perf_counter())
    return Segmentation(
        width=decoded.width,
        height=decoded.height,
        files=MappingProxyType({name: files[name] for name in wanted}),
        coverage=MappingProxyType(coverage),
        timings_ms=MappingProxyType(_timings(marks)),
    )


def _requested_outputs(manifest: Manifest, outputs: Sequence[str] | None) -> list[str]:
    wanted = list(dict.fromkeys(manifest.outputs if outputs is None else outputs))
    if not wanted:
        raise UnsupportedOutput("The job asks for no output at all.")
    if missing := [name for name in wanted if name not in manifest.possible]:
        raise UnsupportedOutput(
            f"The model {manifest.name!r} can't give {', '.join(missing)}; "
            f"it gives {', '.join(manifest.possible)}."
        )
    return wanted


def _prepare(
    photo: bytes, manifest: Manifest, wanted: Sequence[str], limits: ImageLimits, deadline: Deadline
) -> tuple[Photo, Placement, Tensor]:
    """The decoded photo, where it lies in the model's input, and that input."""

    def sufficient_size(width: int, height: int) -> Size:
        at = place(manifest.input, width, height)
        return at.inner_width, at.inner_height

    deadline.check()
    full = "cutout" in wanted  # only the cutout shows the photo's own pixels
    decoded = decode(
        photo, limits=limits, deadline=deadline, sufficient_size=None if full else sufficient_size
    )
    at = place(manifest.input, decoded.width, decoded.height)
    return decoded, at, preprocess(decoded.picture, manifest.input, at)


def _masks(
    result: Tensor, manifest: Manifest, at: Placement, size: Size, wanted: Sequence[str]
) -> Iterator[tuple[str, Mask]]:
    """The wanted masks by output name, made one after another to hold few at a time."""
    corners = manifest.output.align_corners
    if manifest.classes is None:
        plane = matte_plane(result, manifest.output)
        box = at.box(plane.shape[1], plane.shape[0], align_corners=corners)
        matte = enlarge(plane, box, size, lanczos=True)
        yield from ((name, matte) for name in wanted)
        return
    planes = class_planes(result, manifest)
    box = at.box(planes.shape[2], planes.shape[1], align_corners=corners)
    regions = find_regions(planes, manifest.classes, box)
    if "upper_body_mask" in wanted or "lower_body_mask" in wanted:
        pair = zip(
            ("upper_body_mask", "lower_body_mask"), body_masks(regions, box, size), strict=True
        )
        yield from ((name, mask) for name, mask in pair if name in wanted)
    if "seg_map" in wanted:
        yield "seg_map", seg_map(planes, box, size)
    if "alpha_mask" in wanted or "cutout" in wanted:
        matte = enlarge(regions.person, box, size)
        yield from ((name, matte) for name in ("alpha_mask", "cutout") if name in wanted)


def _encoded(name: str, mask: Mask, decoded: Photo, deadline: Deadline) -> bytes:
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
