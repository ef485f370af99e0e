"""The cumulative match characteristic (CMC): Rank-k for every k, counted as the protocol counts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.metrics.ranking import NO_MATCH

DEPTH = 20

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def pair_cmc(
    rank: Ints, view: Ints, gallery_views: NDArray[np.bool_], depth: int = DEPTH
) -> Floats:
    """Mean curve over the cells of two different views.

    Args:
        rank: int64 [n, V], rank (from 0) of each probe's best match among each view's gallery.
        view: int64 [n], codes of the probes' views.
        gallery_views: bool [V], views that the gallery has; other cells are empty.
        depth: the largest k.

    Returns:
        float64 [depth] in 0..1, Rank-1 first; a probe without a match is never right. NaN if every
        cell is empty.
    """
    cells = []
    for code in np.unique(view):
        others = gallery_views & (np.arange(len(gallery_views)) != code)
        cells.append(_shares(rank[view == code][:, others], depth))
    joined = np.concatenate(cells) if cells else np.zeros((0, depth))
    return joined.mean(0) if len(joined) else np.full(depth, np.nan)


def gallery_cmc(rank: Ints, depth: int = DEPTH) -> Floats:
    """Curve of the probes that have a match; the others are left out.

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
