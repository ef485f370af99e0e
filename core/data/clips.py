"""Which frames of a sequence make a clip; always in time order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def consecutive_frames(total: int, wanted: int, start: float) -> NDArray[np.int64]:
    """A run of consecutive frames; a short sequence repeats in order from its first frame.

    Args:
        total: Frames of the sequence, at least 1.
        wanted: Frames of the clip (T).
        start: Draw in [0, 1) that decides where the run begins.

    Returns:
        int64 [T], frame numbers.
    """
    first = int(start * (total - wanted + 1)) if total > wanted else 0
    return ((first + np.arange(wanted)) % total).astype(np.int64)


def spread_frames(total: int, wanted: int, start: float) -> NDArray[np.int64]:
    """``wanted`` frames evenly over the sequence with a random offset, int64, in time order."""
    step = total / wanted
    return np.asarray(np.minimum((np.arange(wanted) + start) * step, total - 1), np.int64)
