"""Projection of embeddings to the plane of largest variance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

Floats = NDArray[np.float64]


def principal_plane(values: NDArray[np.floating]) -> tuple[Floats, tuple[float, float]]:
    """Principal component analysis (PCA) in two dimensions.

    Args:
        values: floating point [n, ...]; everything behind the first axis is one long row.

    Returns:
        Points float64 [n, 2], centred, and the share of the variance (0..1) that each of the two
        axes explains. The sign of an axis is chosen so that its farthest point is positive.
    """
    rows = np.asarray(values, np.float64).reshape(len(values), -1)
    rows = rows - rows.mean(0)
    total = float(np.square(rows).sum())
    points = np.zeros((len(rows), 2))
    explained = [0.0, 0.0]
    wide = rows.shape[1] > len(rows)
    product = rows @ rows.T if wide else rows.T @ rows
    count = min(2, len(product))
    # The smaller of the two products has the same leading values; the largest stand last.
    eigenvalues, vectors = eigh(product, subset_by_index=[len(product) - count, len(product) - 1])
    for axis in range(count if total > 0 else 0):
        value, vector = max(0.0, float(eigenvalues[~axis])), vectors[:, ~axis]  # from the end
        line = vector * np.sqrt(value) if wide else rows @ vector
        points[:, axis] = line * np.sign(line[np.abs(line).argmax()])
        explained[axis] = value / total
    return points, (explained[0], explained[1])
