"""An input or output of a model, as the model declares it."""

from dataclasses import dataclass

INPUT_TYPES = ("float", "float16", "double", "uint8")
"""Element types that a photo can be fed as."""


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A named tensor."""

    name: str
    type: str
    """ONNX's element type, such as float."""
    shape: tuple[int | str, ...]
    """A number where the axis is fixed; its name, or ?, where it is free."""

    def fixed(self, axis: int) -> int | None:
        """The length of an axis; None where it is free."""
        length = self.shape[axis]
        return length if isinstance(length, int) else None

    def __str__(self) -> str:
        return f"{self.name} {self.type}[{', '.join(map(str, self.shape))}]"
