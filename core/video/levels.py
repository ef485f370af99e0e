"""Foreground threshold of silhouettes, derived from their values."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

THRESHOLD = 127

# Labels are few; the grey edges of a silhouette, and soft ones, have more values.
_MANY = 32
# Values that are labels by custom, : grey edges have more values.
_SMALL = 31
# A silhouette that reaches this uses the whole range of a byte.
_FULL = 250
# What a label covers at least, as a share of all that is flat and foreground.
_LABEL_SHARE = 0.01
# OpenCV's background subtraction marks shadows so, beside 255 for what moves.
_SHADOWS = [127, 255]
# Compression changes flat parts by about so much.
_SMEAR = 6
_PEAK_SHARE = 0.01
_PEAK_WIDTH = 28
_KERNEL = np.ones((3, 3), np.uint8)

Plane = NDArray[np.uint8]


def foreground_limit(planes: Sequence[Plane], *, lossy: bool) -> int:
    """Find the highest value that is background.

    - Labels (few values, of which several cover parts of the picture): all but 0 is foreground.
    - One value for the foreground, with grey edges or without: half of it, 127 for 255.
    - Soft masks of many values: half of their range.
    - Values changed by compression: half of the lowest value that covers a part.

    Args:
        planes: uint8 [H, W] each, of one sequence: the distance from the background's value.
        lossy: Whether compression changed the values.
    """
    if not any(cv2.countNonZero(cv2.inRange(plane, 1, 254)) for plane in planes):
        return THRESHOLD
    counts = sum((histogram(plane) for plane in planes), np.zeros(256, np.int64))
    values = np.flatnonzero(counts[1:]) + 1
    top = int(values[-1])
    if not lossy and len(values) <= _MANY:
        return _limit_of_labels(planes, values, top)
    if lossy:
        peaks = smeared_labels(planes)
        if len(peaks) > 1:
            return peaks[0] // 2
    if top >= _FULL:
        return THRESHOLD
    return _midway(counts) if lossy else top // 2


def histogram(plane: Plane) -> NDArray[np.int64]:
    """Histogram of pixel values: int64 [256]."""
    return np.asarray(cv2.calcHist([plane], [0], None, [256], [0, 256]), np.int64).ravel()


def _limit_of_labels(planes: Sequence[Plane], values: NDArray[np.int64], top: int) -> int:
    if len(values) == 1:
        return top // 2
    if top <= _SMALL:
        return 0
    if top >= _FULL and ((values < top) & (values >= top - _SMEAR)).any():
        # Values just below the highest are not labels: compression, or a resize, made them.
        return THRESHOLD
    flat = sum((_flat(plane, 0) for plane in planes), np.zeros(256, np.int64))
    flat[0] = 0
    labels = [int(value) for value in np.flatnonzero(flat > _LABEL_SHARE * flat.sum())]
    if labels == _SHADOWS:
        return THRESHOLD
    if len(labels) > 1 and labels[0] < top / 2:
        return 0
    return labels[0] // 2 if labels else top // 2


def _flat(plane: Plane, tolerance: int) -> NDArray[np.int64]:
    """Histogram of the pixels whose neighbours differ by at most ``tolerance``."""
    spread = cv2.subtract(cv2.dilate(plane, _KERNEL), cv2.erode(plane, _KERNEL))
    return np.bincount(plane[spread <= tolerance], minlength=256)


def smeared_labels(planes: Sequence[Plane]) -> list[int]:
    """Values of the narrow peaks that flat foreground lies in; empty where it lies between, too."""
    flat = sum((_flat(plane, _SMEAR) for plane in planes), np.zeros(256, np.int64))
    # Smear around 0 is background.
    flat[: 2 * _SMEAR] = 0
    total = int(flat.sum())
    dense = np.concatenate(([False], flat > 0.002 * total, [False]))
    edges = np.flatnonzero(dense[1:] != dense[:-1])
    peaks: list[int] = []
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        mass = int(flat[start:stop].sum())
        if mass < _PEAK_SHARE * total:
            continue
        if stop - start > _PEAK_WIDTH:
            return []
        peaks.append(round(float(flat[start:stop] @ np.arange(start, stop)) / mass))
    return peaks


def _midway(counts: NDArray[np.int64]) -> int:
    """Half way between the means of the two classes that Otsu's criterion tells apart."""
    values = np.arange(256)
    below, sums = np.cumsum(counts), np.cumsum(counts * values)
    above = below[-1] - below
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = sums / below, (sums[-1] - sums) / above
        between = below.astype(np.float64) * above * (high - low) ** 2
    best = int(np.argmax(np.nan_to_num(between)))
    return int((low[best] + high[best]) / 2)
