"""The interface of models: `OnnxModel` runs in this process, `RemoteModel` on a server."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from segmentation.deadline import Deadline
from segmentation.model.manifest import Manifest

Tensor = npt.NDArray[np.float32]


class Engine(Protocol):
    """A model that can run. Thread-safe: several threads may run it at once."""

    manifest: Manifest

    def run(self, tensor: Tensor, deadline: Deadline) -> Tensor:
        """Return the output that the manifest names, as float32, with the axes of the model.

        Args:
            tensor: Float32, (1, 3, height, width), or (1, height, width, 3) for NHWC.
            deadline: `expire` ends the run.

        Raises:
            DeadlineExceeded: The time was over before the run, or `expire` ended it.
            EngineUnavailable: The model's server can't run it now.
            ModelError: The network failed.
        """

    def check(self) -> None:
        """Check that the model can run now.

        Raises:
            EngineUnavailable: The model's server can't run it now.
            ModelError: The model doesn't fit its manifest.
        """

    def close(self) -> None:
        """Release resources. The model can't run after this."""
