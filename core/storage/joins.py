"""Rows of several streams of a sequence that show the same frames."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from core.records import NO_FRAME


def joined(numbers: Iterable[NDArray[np.integer]]) -> list[NDArray[np.int64]]:
    """Rows of several streams of a sequence that show the same frames.

    Args:
        numbers: Of each stream the frame of each row, rising; -1 where it has none.

    Returns:
        Of each stream int64 [n], which of its rows, rising; row i of all of them shows one frame.
    """
    streams = [np.asarray(one, np.int64) for one in numbers]
    frames = reduce(np.intersect1d, streams) if streams else np.zeros(0, np.int64)
    frames = frames[frames != NO_FRAME]
    return [np.flatnonzero(np.isin(one, frames)) for one in streams]
