"""Compares the inputs and outputs of a model with its manifest."""

from collections.abc import Sequence

import numpy as np

from segmentation.model.engine import Tensor
from segmentation.model.manifest import Input, Manifest
from segmentation.model.tensor_spec import NUMPY_TYPES, TensorSpec


def find_mismatches(
    manifest: Manifest, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]
) -> list[str]:
    """Return each contradiction between model and manifest as a phrase. Empty: they agree."""
    named = [tensor for tensor in inputs if manifest.input.name in (None, tensor.name)]
    if not named:
        names = ", ".join(tensor.name for tensor in inputs)
        return [f"input.name is {manifest.input.name!r}, but its inputs are {names}"]
    mismatches = _input_mismatches(manifest.input, named[0])
    if len(inputs) > 1:
        mismatches.append(f"it has {len(inputs)} inputs, and only one can be fed")
    if manifest.output.index < len(outputs):
        return mismatches + _output_mismatches(manifest, outputs[manifest.output.index])
    return [
        *mismatches,
        f"output.index is {manifest.output.index}, but it has {len(outputs)} outputs",
    ]


def _input_mismatches(expected: Input, tensor: TensorSpec) -> list[str]:
    if len(tensor.shape) != 4:
        return [f"its input {tensor} has {len(tensor.shape)} axes, not 4"]
    order = (0, 1, 2, 3) if expected.layout == "NCHW" else (0, 3, 1, 2)
    batch, channels, height, width = (tensor.fixed(axis) for axis in order)
    mismatches = []
    if tensor.type not in NUMPY_TYPES:
        mismatches.append(f"its input {tensor} is none of {', '.join(NUMPY_TYPES)}")
    if batch not in (None, 1):
        mismatches.append(f"its batch is fixed at {batch}, and one photo is fed at a time")
    if channels not in (None, 3):
        mismatches.append(f"input.layout is {expected.layout}, but its input is {tensor}")
    elif expected.fit == "area" and (height or width):
        mismatches.append(f'input.fit is "area", but its input {tensor} has a fixed size')
    elif height not in (None, expected.height) or width not in (None, expected.width):
        mismatches.append(
            f"input is {expected.height} high and {expected.width} wide, but it takes {tensor}"
        )
    return mismatches


def _output_mismatches(manifest: Manifest, tensor: TensorSpec) -> list[str]:
    classes, axes = manifest.classes, len(tensor.shape)
    # A matte may have axes of length 1 anywhere. A model may declare an output without its shape.
    if classes is None or axes == 0:
        return []
    if axes not in (3, 4):
        return [f"output {tensor} has {axes} axes, not the 3 or 4 of class planes"]
    planes = tensor.fixed(axes - 3 if manifest.output.layout == "NCHW" else axes - 1)
    if planes not in (None, len(classes.names)):
        return [f"classes.names has {len(classes.names)}, but output {tensor} has {planes} planes"]
    return []


def find_output_fault(manifest: Manifest, output: Tensor) -> str | None:
    """Return how a run's output contradicts the manifest, as a phrase. None: it doesn't."""
    shape, nchw = output.shape, manifest.output.layout == "NCHW"
    named = f"its output has the shape {list(shape)}"
    if output.ndim not in ((2, 3, 4) if manifest.classes is None else (3, 4)) or not output.size:
        return f"{named}, which is none of planes"
    # What isn't rows and columns: the batch of one, and the planes of the classes or of the matte.
    *batch, planes = shape[:-2] if nchw else (*shape[:-3], shape[-1]) if output.ndim > 2 else (1,)
    if any(length != 1 for length in batch):
        return f"{named}, which is of more than one photo"
    expected = 1 if manifest.classes is None else len(manifest.classes.names)
    if planes != expected:
        return f"{named}, but there must be {expected} planes"
    if not np.isfinite(output).all():
        return "its output has values that aren't numbers"
    return None
