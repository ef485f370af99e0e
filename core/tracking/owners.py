"""Assignment of a blob's pixels to the people in it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.tracking.figures import Figure, half_widths

# Share of a figure that has to be visible, and of that which has to be of the blob.
LEAST_VISIBLE, LEAST_OWN = 0.3, 0.25
# Half widths of a figure up to which a pixel may be of it: arms, steps and bags.
NEAR = 2.4
# Half of the widest box, in heights.
HALF_WIDEST = 0.36


def owners(
    mask: NDArray[np.uint8], figures: list[Figure]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Figure that each pixel of a blob belongs to, -1 for none, and their outlines [n, h, w]."""
    rows, columns = np.arange(mask.shape[0]), np.arange(mask.shape[1])
    far = np.empty((len(figures), *mask.shape))
    for number, one in enumerate(figures):
        shares = (rows + 0.5 - one.top) / one.height
        half = half_widths(np.clip(shares, 0.05, 1)) * one.height
        distance = np.abs(columns + 0.5 - one.x)[None] / half[:, None]
        outside = (shares < -0.06) | (shares > 1.06)
        distance[outside] = np.inf
        far[number] = distance
    cores = far < 1
    # Where figures overlap, the pixel is of the one in front.
    front = np.where(cores.any(axis=0), cores.argmax(axis=0), far.argmin(axis=0))
    near = np.take_along_axis(far, front[None], axis=0)[0] < NEAR
    return np.where((mask > 0) & near, front, -1), np.asarray(cores)


def visible_box(
    figure: Figure, own: NDArray[np.bool_], cores: NDArray[np.bool_], number: int
) -> tuple[int, int, int, int] | None:
    """Box around the visible part of a figure; None where that is too small.

    Where nobody in front hides them, head and feet belong to the box even if their colours are the
    background's.
    """
    free = cores[number] & ~cores[:number].any(axis=0)
    whole = max(int(cores[number].sum()), 1)
    if free.sum() < LEAST_VISIBLE * whole or own.sum() < LEAST_OWN * free.sum():
        return None
    rows, columns = np.nonzero(own)
    low, high = np.percentile(rows, (0.5, 99.5))
    left, right = np.percentile(columns, (1, 99))
    reach = HALF_WIDEST * figure.height
    left, right = max(left, figure.x - reach), min(right, figure.x + reach)
    open_rows = np.flatnonzero(free.any(axis=1))
    top = min(low, max(open_rows[0], figure.top))
    bottom = max(high, min(open_rows[-1], figure.foot - 1))
    box = round(float(left)), round(float(top)), round(float(right)) + 1, round(float(bottom)) + 1
    return box if box[2] > box[0] and box[3] > box[1] else None
