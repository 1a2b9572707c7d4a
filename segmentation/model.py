"""A loaded model: one ONNX Runtime session and its manifest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from segmentation.deadline import Deadline
from segmentation.errors import ModelError
from segmentation.manifest import Manifest

Tensor = npt.NDArray[np.float32]

CPU = "CPUExecutionProvider"
_TYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(uint8)": np.uint8,
}
_FATAL = 4  # ONNX Runtime raises what it would log; our log is not its


class Model:
    """Runs one network. Thread-safe: several threads may `run` one model at the same time."""

    def __init__(self, manifest: Manifest, session: onnxruntime.InferenceSession) -> None:
        self.manifest = manifest
        self._session = session
        self._input = _input_name(manifest, session)
        self._output = session.get_outputs()[manifest.output.index].name
        self._type = _TYPES[_input_node(session, self._input).type]

    @classmethod
    def open(
        cls, manifest: Manifest, path: Path, *, providers: Sequence[str], threads: int
    ) -> Model:
        """Load the file at `path` as `manifest` describes it.

        Raises:
            ModelError: The file is no model, isn't as described, or a provider isn't there.
        """
        session = open_session(path, providers=providers, threads=threads)
        if faults := find_faults(manifest, session):
            raise ModelError(f"{path} isn't what manifest {manifest.name!r} says: {faults[0]}")
        return cls(manifest, session)

    def run(self, tensor: Tensor, deadline: Deadline) -> Tensor:
        """The output that the manifest names, float32, in the model's own axes.

        Args:
            tensor: Float32, (1, 3, height, width), or (1, height, width, 3) for NHWC.
            deadline: Its `expire` ends the run within one operator.

        Raises:
            DeadlineExceeded: The time was over, before or while it ran.
            ModelError: The model itself failed.
        """
        options = onnxruntime.RunOptions()
        options.log_severity_level = _FATAL
        with deadline.stopping(lambda: setattr(options, "terminate", True)):
            try:
                feed = {self._input: tensor.astype(self._type, copy=False)}
                (result,) = self._session.run([self._output], feed, options)
            except Exception as error:  # ONNX Runtime's exceptions share no class of their own
                raise ModelError(f"model {self.manifest.name!r} failed: {error}") from error
        return np.asarray(result, dtype=np.float32)

    @property
    def providers(self) -> list[str]:
        """Execution providers in use, the first preferred."""
        return list(self._session.get_providers())


def open_session(
    path: Path, *, providers: Sequence[str], threads: int
) -> onnxruntime.InferenceSession:
    """A session on exactly these providers, of this many threads.

    Raises:
        ModelError: The file is no model, or a provider isn't available.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _FATAL
    # A pool that spins burns the cores that decoding and the event loop need.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    missing = set(providers) - set(onnxruntime.get_available_providers())
    if missing:
        raise ModelError(
            f"ONNX_PROVIDERS: {', '.join(sorted(missing))} isn't available here; "
            f"there is {', '.join(onnxruntime.get_available_providers())}"
        )
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=list(providers))
    except Exception as error:  # ONNX Runtime's exceptions share no class of their own
        raise ModelError(f"{path} can't be loaded as an ONNX model: {error}") from error
    # ONNX Runtime goes on without a provider that fails to start; CPU is always its last.
    if [name for name in session.get_providers() if name not in {CPU, *providers}] or (
        session.get_providers()[: len(providers)] != list(providers)
    ):
        raise ModelError(
            f"{path}: asked for {', '.join(providers)}, "
            f"but ONNX Runtime started {', '.join(session.get_providers())}"
        )
    return session


def find_faults(manifest: Manifest, session: onnxruntime.InferenceSession) -> list[str]:
    """What of the model contradicts its manifest, a sentence each; empty when all is well."""
    name = _input_name(manifest, session)
    if name not in {node.name for node in session.get_inputs()}:
        has = ", ".join(node.name for node in session.get_inputs())
        return [f"input.name is {name!r}, but its inputs are {has}"]
    node = _input_node(session, name)
    faults = []
    if len(session.get_inputs()) > 1:
        faults.append(f"it has {len(session.get_inputs())} inputs, only one can be fed")
    if node.type not in _TYPES:
        faults.append(f"its input is a {node.type}, not one of {', '.join(_TYPES)}")
    faults += _shape_faults(manifest, list(node.shape))
    outputs = session.get_outputs()
    if manifest.output.index >= len(outputs):
        faults.append(f"output.index is {manifest.output.index}, but it has {len(outputs)} outputs")
    else:
        faults += _class_faults(manifest, list(outputs[manifest.output.index].shape or []))
    return faults


def _shape_faults(manifest: Manifest, shape: list[Any]) -> list[str]:
    """Contradictions between `[input]` and the input's shape, whose free axes are names or None."""
    said = manifest.input
    if len(shape) != 4:
        return [f"its input has {len(shape)} axes {shape}, not 4"]
    order = (0, 1, 2, 3) if said.layout == "NCHW" else (0, 3, 1, 2)
    batch, channels, height, width = (
        shape[axis] if isinstance(shape[axis], int) else None for axis in order
    )
    faults = []
    if batch not in (None, 1):
        faults.append(f"its batch is fixed at {batch}, one photo a run is needed")
    if channels not in (None, 3):
        faults.append(f"input.layout is {said.layout}, but its input's shape is {shape}")
    elif said.fit == "area" and (height or width):
        faults.append(f'input.fit is "area", but its input is fixed at {height} x {width}')
    elif height not in (None, said.height) or width not in (None, said.width):
        faults.append(
            f"input is {said.height} x {said.width} (height x width), "
            f"but the model takes {height} x {width}"
        )
    return faults


def _class_faults(manifest: Manifest, shape: list[Any]) -> list[str]:
    if manifest.classes is None or len(shape) < 3:
        return []
    planes = shape[-3 if manifest.output.layout == "NCHW" else -1]
    names = len(manifest.classes.names)
    if isinstance(planes, int) and planes != names:
        return [f"classes.names has {names}, but output {manifest.output.index} is {shape}"]
    return []


def _input_name(manifest: Manifest, session: onnxruntime.InferenceSession) -> str:
    return manifest.input.name or str(session.get_inputs()[0].name)


def _input_node(session: onnxruntime.InferenceSession, name: str) -> Any:
    return next(node for node in session.get_inputs() if node.name == name)
