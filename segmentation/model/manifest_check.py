"""Whether a model is what its manifest says: what can be told from its inputs and outputs alone."""

from collections.abc import Sequence

from segmentation.model.manifest import Input, Manifest
from segmentation.model.tensor_spec import INPUT_TYPES, TensorSpec


def find_mismatches(
    manifest: Manifest, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]
) -> list[str]:
    """What of the model contradicts its manifest, a phrase each; empty when all is well."""
    named = [port for port in inputs if manifest.input.name in (None, port.name)]
    if not named:
        has = ", ".join(port.name for port in inputs)
        return [f"input.name is {manifest.input.name!r}, but its inputs are {has}"]
    faults = _input_faults(manifest.input, named[0])
    if len(inputs) > 1:
        faults.append(f"it has {len(inputs)} inputs, and only one can be fed")
    if manifest.output.index < len(outputs):
        return faults + _output_faults(manifest, outputs[manifest.output.index])
    return [*faults, f"output.index is {manifest.output.index}, but it has {len(outputs)} outputs"]


def _input_faults(said: Input, port: TensorSpec) -> list[str]:
    if len(port.shape) != 4:
        return [f"its input {port} has {len(port.shape)} axes, not 4"]
    order = (0, 1, 2, 3) if said.layout == "NCHW" else (0, 3, 1, 2)
    batch, channels, height, width = (port.fixed(axis) for axis in order)
    faults = []
    if port.type not in INPUT_TYPES:
        faults.append(f"its input {port} is none of {', '.join(INPUT_TYPES)}")
    if batch not in (None, 1):
        faults.append(f"its batch is fixed at {batch}, and one photo is fed at a time")
    if channels not in (None, 3):
        faults.append(f"input.layout is {said.layout}, but its input is {port}")
    elif said.fit == "area" and (height or width):
        faults.append(f'input.fit is "area", but its input {port} has a fixed size')
    elif height not in (None, said.height) or width not in (None, said.width):
        faults.append(f"input is {said.height} high and {said.width} wide, but it takes {port}")
    return faults


def _output_faults(manifest: Manifest, port: TensorSpec) -> list[str]:
    classes, axes = manifest.classes, len(port.shape)
    if classes is None or axes == 0:  # a matte's axes of one may be anywhere; no shape is no fault
        return []
    if axes not in (3, 4):
        return [f"output {port} has {axes} axes, not the 3 or 4 of class planes"]
    planes = port.fixed(axes - 3 if manifest.output.layout == "NCHW" else axes - 1)
    if planes not in (None, len(classes.names)):
        return [f"classes.names has {len(classes.names)}, but output {port} has {planes} planes"]
    return []
