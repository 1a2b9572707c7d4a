"""The rectangle that a photo fills in the model's input, and in its output."""

from dataclasses import dataclass
from math import sqrt

from segmentation.model.manifest import Input

# A photo with a larger aspect ratio is squeezed to this one, so that its short side stays visible.
_MAX_ASPECT = 8.0


@dataclass(frozen=True, slots=True)
class Placement:
    """The size of the input, and the rectangle in it that the photo fills, in pixels."""

    width: int
    height: int
    left: int
    top: int
    inner_width: int
    inner_height: int

    def box(
        self, columns: int, rows: int, *, align_corners: bool
    ) -> tuple[float, float, float, float]:
        """Return left, top, right and bottom of the photo in an output of `rows` x `columns`.

        Coordinates are continuous: sample i covers i to i + 1, and its centre is at i + 0.5.
        """
        left, right = self.left, self.left + self.inner_width
        top, bottom = self.top, self.top + self.inner_height
        return (
            _project(left, self.width, columns, align_corners=align_corners),
            _project(top, self.height, rows, align_corners=align_corners),
            _project(right, self.width, columns, align_corners=align_corners),
            _project(bottom, self.height, rows, align_corners=align_corners),
        )


def place(target: Input, width: int, height: int) -> Placement:
    """Return where an upright photo of `width` x `height` pixels lies in the input `target`."""
    if target.fit == "stretch":
        return Placement(target.width, target.height, 0, 0, target.width, target.height)
    if target.fit == "area":
        aspect = min(max(width / height, 1 / _MAX_ASPECT), _MAX_ASPECT)
        area = target.width * target.height
        columns = _rounded(sqrt(area * aspect), target.multiple)
        rows = _rounded(sqrt(area / aspect), target.multiple)
        return Placement(columns, rows, 0, 0, columns, rows)
    factor = min(target.width / width, target.height / height)
    inner_width = min(max(1, round(width * factor)), target.width)
    inner_height = min(max(1, round(height * factor)), target.height)
    around = target.pad_place == "around"
    left = (target.width - inner_width) // 2 if around else 0
    top = (target.height - inner_height) // 2 if around else 0
    return Placement(target.width, target.height, left, top, inner_width, inner_height)


def _rounded(side: float, multiple: int) -> int:
    return max(multiple, round(side / multiple) * multiple)


def _project(at: float, inside: int, outside: int, *, align_corners: bool) -> float:
    if not align_corners or inside == 1:
        return at * outside / inside
    # The centres of the outermost samples coincide, so centres scale by the number of gaps.
    moved = (at - 0.5) * (outside - 1) / (inside - 1) + 0.5
    return min(max(moved, 0.0), float(outside))
