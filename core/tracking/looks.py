"""What somebody wears: colours of the upper and the lower half."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Look = NDArray[np.float64]  # [2, 64]: shares of colours in the upper and the lower half

_LEVELS = 4
# Shares of the height, from the top: of the trunk and of the legs.
_HALVES = ((0.15, 0.5), (0.5, 0.95))


def look_of(
    picture: NDArray[np.uint8], box: tuple[int, int, int, int], mask: NDArray[np.uint8]
) -> Look:
    """Colours inside a box of a picture uint8 [h, w, 3], where the box's mask is not 0."""
    left, top, right, bottom = box
    part = picture[top:bottom, left:right]
    bins = (part >> 6).astype(np.int64) @ np.array([_LEVELS**2, _LEVELS, 1])
    look = np.zeros((2, _LEVELS**3))
    for half, (begin, end) in enumerate(_HALVES):
        rows = slice(int(begin * len(part)), max(int(begin * len(part)) + 1, int(end * len(part))))
        seen = bins[rows][mask[rows] > 0]
        if len(seen):
            look[half] = np.bincount(seen, minlength=_LEVELS**3) / len(seen)
    return look


def unlike(first: Look, second: Look) -> float:
    """How different two looks are: 0 the same, 1 no colour in common."""
    shared = np.sqrt(first * second).sum(axis=1)
    halves = [share for share, one, other in zip(shared, first, second, strict=True)
              if one.any() and other.any()]  # fmt: skip
    return 1 - float(np.mean(halves)) if halves else 0.5
