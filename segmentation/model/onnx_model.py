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
from segmentation.model.tensor_spec import NUMPY_TYPES, TensorSpec

CPU = "CPUExecutionProvider"
_FATAL = 4  # ONNX Runtime raises its errors as exceptions; its log would repeat them


def check_providers(providers: Sequence[str]) -> None:
    """Return if ONNX Runtime has all these execution providers.

    Raises:
        ModelError: It lacks some; the message says which there are.
    """
    if missing := set(providers) - set(onnxruntime.get_available_providers()):
        raise ModelError(
            f"ONNX_PROVIDERS: {', '.join(sorted(missing))} isn't available here; "
            f"there is {', '.join(onnxruntime.get_available_providers())}"
        )


class OnnxSession:
    """A network that runs on exactly the given execution providers. Thread-safe."""

    def __init__(self, path: Path, *, providers: Sequence[str], threads: int) -> None:
        """Load the file.

        Args:
            path: The ONNX file.
            providers: ONNX Runtime's execution providers, the preferred first.
            threads: Number of threads for one operator, including the calling thread.

        Raises:
            ModelError: The file isn't a model, or a provider isn't available or doesn't start.
        """
        check_providers(providers)
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), _options(threads), providers=list(providers)
            )
        except Exception as error:  # ONNX Runtime's exceptions share no class of their own
            raise ModelError(f"{path} can't be loaded as an ONNX model: {error}") from error
        # If a provider fails, ONNX Runtime continues without it. It always adds CPU as the last.
        self.providers = list(self._session.get_providers())
        if [name for name in self.providers if name != CPU or name in providers] != [*providers]:
            raise ModelError(
                f"{path}: asked for {', '.join(providers)}, "
                f"but ONNX Runtime started {', '.join(self.providers)}"
            )
        self.inputs = [_tensor_spec(node) for node in self._session.get_inputs()]
        self.outputs = [_tensor_spec(node) for node in self._session.get_outputs()]

    def run(self, tensor: Tensor, *, feed: str, fetch: str, deadline: Deadline) -> Tensor:
        """Run the network on `tensor` as the input `feed`, and return the output `fetch`.

        Raises:
            DeadlineExceeded: The time was over before the run, or `expire` ended it.
            Exception: Whatever ONNX Runtime raises.
        """
        options = onnxruntime.RunOptions()
        options.log_severity_level = _FATAL
        with deadline.stopping(lambda: setattr(options, "terminate", True)):
            (result,) = self._session.run([fetch], {feed: tensor}, options)
        return np.asarray(result, dtype=np.float32)


class OnnxModel:
    """A model that runs in this process. Thread-safe: several threads may run it at once."""

    def __init__(self, manifest: Manifest, session: OnnxSession) -> None:
        self.manifest = manifest
        self._session = session
        self._feed = next(
            tensor for tensor in session.inputs if manifest.input.name in (None, tensor.name)
        )
        self._fetch = session.outputs[manifest.output.index]

    @classmethod
    def open(
        cls, manifest: Manifest, path: Path, *, providers: Sequence[str], threads: int
    ) -> Self:
        """Load the model at `path` and check that it fits `manifest`.

        Raises:
            ModelError: The file isn't a model, doesn't fit, or a provider isn't available.
        """
        session = OnnxSession(path, providers=providers, threads=threads)
        if mismatches := find_mismatches(manifest, session.inputs, session.outputs):
            raise ModelError(f"{path} isn't what manifest {manifest.name!r} says: {mismatches[0]}")
        return cls(manifest, session)

    def run(self, tensor: Tensor, deadline: Deadline) -> Tensor:
        """Return the output that the manifest names, as float32, with the axes of the model.

        Args:
            tensor: Float32, (1, 3, height, width), or (1, height, width, 3) for NHWC.
            deadline: `expire` ends the run within one operator.

        Raises:
            DeadlineExceeded: The time was over before the run, or `expire` ended it.
            ModelError: The network failed.
        """
        typed = tensor.astype(NUMPY_TYPES[self._feed.type], copy=False)
        feed, fetch = self._feed.name, self._fetch.name
        try:
            return self._session.run(typed, feed=feed, fetch=fetch, deadline=deadline)
        except DeadlineExceeded:
            raise
        except Exception as error:  # ONNX Runtime's exceptions share no class of their own
            raise ModelError(f"model {self.manifest.name!r} failed: {error}") from error

    def check(self) -> None:
        """Do nothing: a loaded model can always run."""

    def close(self) -> None:
        """Do nothing: Python frees the session with the last reference to it."""

    @property
    def providers(self) -> list[str]:
        """Execution providers in use, the preferred first."""
        return list(self._session.providers)


def _options(threads: int) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _FATAL
    # Threads that spin while they wait would take cores from decoding and from the event loop.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _tensor_spec(node: onnxruntime.NodeArg) -> TensorSpec:
    shape = tuple(axis if isinstance(axis, int) else str(axis or "?") for axis in node.shape or [])
    return TensorSpec(node.name, node.type.removeprefix("tensor(").removesuffix(")"), shape)
