"""The cumulative match characteristic (CMC): Rank-k for every k, counted as the protocol counts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.metrics.ranking import NO_MATCH

DEPTH = 20

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def pair_cmc(rank: Ints, view: Ints, searched: NDArray[np.bool_], depth: int = DEPTH) -> Floats:
    """Mean curve over the cells of two different views.

    Args:
        rank: int64 [n, V], rank (from 0) of each probe's best match among each view's gallery.
        view: int64 [n], codes of the probes' views.
        searched: bool [n, V] (or one that broadcasts), searches that count; a cell without any is
            empty.
        depth: the largest k.

    Returns:
        float64 [depth] in 0..1, Rank-1 first; a probe without a match is never right. NaN if every
        cell is empty.
    """
    counted = np.broadcast_to(searched, rank.shape)
    cells = []
    for code in np.unique(view):
        rows = view == code
        for other in np.flatnonzero(np.arange(rank.shape[1]) != code):
            column = rank[rows, other][counted[rows, other]]
            if len(column):
                cells.append(_shares(column[:, None], depth)[0])
    return np.stack(cells).mean(0) if cells else np.full(depth, np.nan)


def gallery_cmc(rank: Ints, depth: int = DEPTH) -> Floats:
    """Curve of the probes that have a match; the others are skipped.

    Args:
        rank: int64 [n], rank (from 0) of each probe's best match.
        depth: the largest k.

    Returns:
        float64 [depth] in 0..1, Rank-1 first; NaN if no probe has a match.
    """
    matched = rank[rank != NO_MATCH]
    return _shares(matched[:, None], depth)[0] if len(matched) else np.full(depth, np.nan)


def _shares(rank: Ints, depth: int) -> Floats:
    """Share of rows below each k: [n, cells] to [cells, depth]."""
    return np.stack([(rank < k).mean(0) for k in range(1, depth + 1)], axis=1)
