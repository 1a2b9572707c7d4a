"""A loaded model: one ONNX Runtime session and its manifest."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
import onnxruntime

from segmentation.deadline import Deadline
from segmentation.errors import DeadlineExceeded, ModelError
from segmentation.model.engine import Tensor
from segmentation.model.manifest import Manifest
from segmentation.model.manifest_check import find_mismatches
from segmentation.model.tensor_spec import TensorSpec

CPU = "CPUExecutionProvider"
_TYPES = {"float": np.float32, "float16": np.float16, "double": np.float64, "uint8": np.uint8}
_FATAL = 4  # ONNX Runtime's errors come as exceptions; its log would say them a second time


class OnnxSession:
    """A network on exactly the providers asked for. Thread-safe."""

    def __init__(self, path: Path, *, providers: Sequence[str], threads: int) -> None:
        """Load the file.

        Args:
            path: The ONNX file.
            providers: ONNX Runtime's execution providers, the preferred first.
            threads: Threads of one operator, the calling one included.

        Raises:
            ModelError: The file is no model, or a provider isn't there or doesn't start.
        """
        if missing := set(providers) - set(onnxruntime.get_available_providers()):
            raise ModelError(
                f"ONNX_PROVIDERS: {', '.join(sorted(missing))} isn't available here; "
                f"there is {', '.join(onnxruntime.get_available_providers())}"
            )
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), _options(threads), providers=list(providers)
            )
        except Exception as error:  # ONNX Runtime's exceptions share no class of their own
            raise ModelError(f"{path} can't be loaded as an ONNX model: {error}") from error
        # ONNX Runtime goes on silently without a provider that fails; CPU is always its last.
        self.providers = list(self._session.get_providers())
        if [name for name in self.providers if name != CPU or name in providers] != [*providers]:
            raise ModelError(
                f"{path}: asked for {', '.join(providers)}, "
                f"but ONNX Runtime started {', '.join(self.providers)}"
            )
        self.inputs = [_port(node) for node in self._session.get_inputs()]
        self.outputs = [_port(node) for node in self._session.get_outputs()]

    def run(self, tensor: Tensor, *, feed: str, fetch: str, deadline: Deadline) -> Tensor:
        """The output `fetch` for `tensor` as the input `feed`.

        Raises:
            DeadlineExceeded: The time was over, before or while it ran.
            Exception: Whatever ONNX Runtime raises.
        """
        options = onnxruntime.RunOptions()
        options.log_severity_level = _FATAL
        with deadline.stopping(lambda: setattr(options, "terminate", True)):
            (result,) = self._session.run([fetch], {feed: tensor}, options)
        return np.asarray(result, dtype=np.float32)


class OnnxModel:
    """A network that its manifest describes. Thread-safe: many may run it at the same time."""

    def __init__(self, manifest: Manifest, session: OnnxSession) -> None:
        self.manifest = manifest
        self._session = session
        self._feed = next(
            port for port in session.inputs if manifest.input.name in (None, port.name)
        )
        self._fetch = session.outputs[manifest.output.index]

    @classmethod
    def open(
        cls, manifest: Manifest, path: Path, *, providers: Sequence[str], threads: int
    ) -> Self:
        """Load the file at `path`, which must be what `manifest` says.

        Raises:
            ModelError: The file is no model, isn't as described, or a provider isn't there.
        """
        session = OnnxSession(path, providers=providers, threads=threads)
        if faults := find_mismatches(manifest, session.inputs, session.outputs):
            raise ModelError(f"{path} isn't what manifest {manifest.name!r} says: {faults[0]}")
        return cls(manifest, session)

    def run(self, tensor: Tensor, deadline: Deadline) -> Tensor:
        """The output that the manifest names, float32, in the model's own axes.

        Args:
            tensor: Float32, (1, 3, height, width), or (1, height, width, 3) for NHWC.
            deadline: Its `expire` ends the run within one operator.

        Raises:
            DeadlineExceeded: The time was over, before or while it ran.
            ModelError: The network itself failed.
        """
        typed = tensor.astype(_TYPES[self._feed.type], copy=False)
        feed, fetch = self._feed.name, self._fetch.name
        try:
            return self._session.run(typed, feed=feed, fetch=fetch, deadline=deadline)
        except DeadlineExceeded:
            raise
        except Exception as error:  # ONNX Runtime's exceptions share no class of their own
            raise ModelError(f"model {self.manifest.name!r} failed: {error}") from error

    def check(self) -> None:
        """Return at once: a network that is loaded can be run."""

    def close(self) -> None:
        """Do nothing: the session goes with its last user."""

    @property
    def providers(self) -> list[str]:
        """Execution providers in use, the preferred first."""
        return list(self._session.providers)


def _options(threads: int) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _FATAL
    # A pool that spins burns the cores that decoding and the event loop need.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _port(node: onnxruntime.NodeArg) -> TensorSpec:
    shape = tuple(axis if isinstance(axis, int) else str(axis or "?") for axis in node.shape or [])
    return TensorSpec(node.name, node.type.removeprefix("tensor(").removesuffix(")"), shape)
