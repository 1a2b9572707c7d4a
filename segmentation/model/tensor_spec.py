"""The declaration of one input or output of a model."""

from dataclasses import dataclass

import numpy as np

NUMPY_TYPES = {"float": np.float32, "float16": np.float16, "double": np.float64, "uint8": np.uint8}
"""NumPy's type for each element type that the model's input may have, by ONNX's name."""


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Name, element type and shape of a tensor."""

    name: str
    type: str
    """ONNX's element type, such as float."""
    shape: tuple[int | str, ...]
    """For each axis its length, or if the length is free, its name or `?`."""

    def fixed(self, axis: int) -> int | None:
        """Return the length of an axis, or None if it is free."""
        length = self.shape[axis]
        return length if isinstance(length, int) else None

    def __str__(self) -> str:
        return f"{self.name} {self.type}[{', '.join(map(str, self.shape))}]"
