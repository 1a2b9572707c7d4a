"""Where a photo lies in a model's input, and so where its masks lie in the output."""

from dataclasses import dataclass
from math import sqrt

from segmentation.model.manifest import Input

# A strip of more than this aspect is squeezed to it: its short side would be lost otherwise.
_WIDEST = 8.0


@dataclass(frozen=True, slots=True)
class Placement:
    """The input's size and the rectangle in it that the photo fills, in pixels."""

    width: int
    height: int
    left: int
    top: int
    inner_width: int
    inner_height: int

    def box(
        self, columns: int, rows: int, *, align_corners: bool
    ) -> tuple[float, float, float, float]:
        """The photo's rectangle (left, top, right, bottom) in an output of `rows` x `columns`.

        In continuous coordinates: sample i covers i to i + 1, its centre is at i + 0.5.
        """
        left, right = self.left, self.left + self.inner_width
        top, bottom = self.top, self.top + self.inner_height
        return (
            _project(left, self.width, columns, align_corners=align_corners),
            _project(top, self.height, rows, align_corners=align_corners),
            _project(right, self.width, columns, align_corners=align_corners),
            _project(bottom, self.height, rows, align_corners=align_corners),
        )


def place(said: Input, width: int, height: int) -> Placement:
    """Where an upright photo of `width` x `height` pixels lies in the input that is `said`."""
    if said.fit == "stretch":
        return Placement(said.width, said.height, 0, 0, said.width, said.height)
    if said.fit == "area":
        aspect = min(max(width / height, 1 / _WIDEST), _WIDEST)
        area = said.width * said.height
        columns = _rounded(sqrt(area * aspect), said.multiple)
        rows = _rounded(sqrt(area / aspect), said.multiple)
        return Placement(columns, rows, 0, 0, columns, rows)
    factor = min(said.width / width, said.height / height)
    inner_width = min(max(1, round(width * factor)), said.width)
    inner_height = min(max(1, round(height * factor)), said.height)
    around = said.pad_place == "around"
    left = (said.width - inner_width) // 2 if around else 0
    top = (said.height - inner_height) // 2 if around else 0
    return Placement(said.width, said.height, left, top, inner_width, inner_height)


def _rounded(side: float, multiple: int) -> int:
    return max(multiple, round(side / multiple) * multiple)


def _project(at: float, inside: int, outside: int, *, align_corners: bool) -> float:
    if not align_corners or inside == 1:
        return at * outside / inside
    # The outermost samples' centres coincide, so centres scale by the number of gaps.
    moved = (at - 0.5) * (outside - 1) / (inside - 1) + 0.5
    return min(max(moved, 0.0), float(outside))
