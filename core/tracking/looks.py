"""Colours of a person's clothes, of the upper and the lower half."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

# Shares of brightness, green to red and blue to yellow in the upper and the lower half.
Look = NDArray[np.float32]  # [2, 3, 16]

# Share of other colours, the reciprocal of it, from which clothes are other ones altogether.
OTHER = 3.0
_BINS = 16
# Bits of a value that do not matter, and the value of the first bin: clothes are seldom vivid.
_SHIFTS, _FIRST = (4, 3, 3), (0, 64, 64)
# Shares of the height, from the top: of the trunk and of the legs.
_HALVES = ((0.15, 0.5), (0.5, 0.95))


def look_of(
    picture: NDArray[np.uint8], box: tuple[int, int, int, int], mask: NDArray[np.uint8]
) -> Look:
    """Colours inside a box of a picture uint8 [h, w, 3], where the box's mask is not 0."""
    left, top, right, bottom = box
    part = cv2.cvtColor(picture[top:bottom, left:right], cv2.COLOR_RGB2LAB).astype(np.int64)
    look = np.zeros((2, 3, _BINS), np.float32)
    for half, (begin, end) in enumerate(_HALVES):
        rows = slice(int(begin * len(part)), max(int(begin * len(part)) + 1, int(end * len(part))))
        colours = part[rows][mask[rows] > 0]
        for channel in range(3):
            if len(colours):
                places = (colours[:, channel] - _FIRST[channel]) >> _SHIFTS[channel]
                counts = np.bincount(np.clip(places, 0, _BINS - 1), minlength=_BINS)
                # Neighbouring colours are alike.
                soft = np.convolve(counts, (0.25, 0.5, 0.25), mode="same")
                look[half, channel] = soft / max(soft.sum(), 1e-9)
    return look


def unlike(first: Look, second: Look) -> float:
    """Difference of two looks: 0 equal, 1 entirely different clothes."""
    shared = np.sqrt(first * second).sum(axis=2)  # [2, 3]
    visible = first.any(axis=(1, 2)) & second.any(axis=(1, 2))
    return min(1.0, OTHER * (1 - float(shared[visible].mean()))) if visible.any() else 0.5
