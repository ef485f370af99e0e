"""Silhouettes' values out of array files, of any type, as bytes or 16 bits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Fractions of one that a resize with overshoot went through are fractions still.
_HIGHEST_FRACTION = 1.1
# Values further below zero than this share of the highest are no overshoot.
_LOWEST = -0.25
_BYTE, _SHORT = 255, 65_535


def mask_values(arrays: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    """Bring all silhouettes of one file to bytes or 16 bits on one scale.

    Truth values become 0 and 255, and so do numbers below and above zero (what networks and
    normalised pictures have). Fractions of one are scaled up to 255; other numbers stay, unless
    they are more than 16 bits hold.

    Args:
        arrays: Truth values or finite numbers, of any shape.

    Returns:
        As many arrays, uint8 or uint16.
    """
    numbers = [array for array in arrays if array.dtype.kind != "b" and array.size]
    low = min((float(array.min()) for array in numbers), default=0.0)
    high = max((float(array.max()) for array in numbers), default=0.0)
    return [_converted(array, low, high) for array in arrays]


def _converted(array: NDArray[Any], low: float, high: float) -> NDArray[Any]:
    if array.dtype in (np.uint8, np.uint16):
        return np.asarray(array)
    if array.dtype.kind == "b":
        return _truth(array)
    if low < _LOWEST * max(high, 0.0):
        # A byte of 255 that was stored with a sign is -1, and there is nothing above zero.
        return _truth(np.asarray(array > 0 if high > 0 else array < 0))
    if array.dtype.kind == "f" and high <= _HIGHEST_FRACTION:
        return np.asarray(np.clip(np.rint(array * 255.0), 0, _BYTE), np.uint8)
    if high <= _BYTE:
        return np.asarray(np.clip(np.rint(array), 0, _BYTE), np.uint8)
    # What is more than nothing stays so: it may be a label.
    scale = min(1.0, _SHORT / high)
    return np.asarray(np.clip(np.ceil(array * scale), 0, _SHORT), np.uint16)


def _truth(array: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return array.astype(np.uint8) * np.uint8(_BYTE)
