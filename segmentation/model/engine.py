"""What runs a network: here (`model.Model`), or on a server (`remote.RemoteModel`)."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from segmentation.deadline import Deadline
from segmentation.model.manifest import Manifest

Tensor = npt.NDArray[np.float32]


class Engine(Protocol):
    """A network that its manifest describes. Thread-safe: many may run it at the same time."""

    manifest: Manifest

    def run(self, tensor: Tensor, deadline: Deadline) -> Tensor:
        """The output that the manifest names, float32, in the model's own axes.

        Args:
            tensor: Float32, (1, 3, height, width), or (1, height, width, 3) for NHWC.
            deadline: Its `expire` ends the run.

        Raises:
            DeadlineExceeded: The time was over, before or while it ran.
            EngineUnavailable: The network can't be reached now.
            ModelError: The network itself failed.
        """

    def check(self) -> None:
        """Return where a run is worth a try.

        Raises:
            EngineUnavailable: The network can't be reached now.
            ModelError: The network isn't what the manifest says.
        """

    def close(self) -> None:
        """Let go of what it holds; a run after this is an error."""
