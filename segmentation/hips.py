"""The hip line: where a dress ends being upper body."""

from __future__ import annotations

import numpy as np

from segmentation.model import Tensor

_HALF = 0.5


def above_hips(*, person: Tensor, head: Tensor, box: tuple[float, ...]) -> Tensor:
    """The share of each row above the hip line, (rows, 1)."""
    rows = np.flatnonzero((person > _HALF).any(axis=1))
    line = (rows[0] + rows[-1] + 1) / 2 if rows.size else 0.0
    share: Tensor = np.clip(line - np.arange(person.shape[0]), 0, 1).astype(np.float32)
    return share[:, None]
