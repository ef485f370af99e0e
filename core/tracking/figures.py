"""Separate the people in a blob: the figures that explain it best.

A figure is the outline of a standing or walking person: a head, a trunk and legs, and around trunk
and legs a halo in which arms, steps and bags may be. Proposals are where heads stand out of the
blob's upper edge, where people are expected that were seen before, and where feet stand out below.
The selected figures leave least of the blob unexplained and cover least outside of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter
from scipy.signal import find_peaks

Mask = NDArray[np.bool_]
Floats = NDArray[np.float32]

# Blobs are analysed with a person this many pixels high at most.
WORKING_HEIGHT = 48
# From the head down: shares of the height, half widths of figure and halo as shares of it, and how
# much it matters that a row of the figure is not of the blob.
_ROWS = (0.0, 0.03, 0.12, 0.15, 0.19, 0.5, 0.56, 1.0)
_HALF = (0.03, 0.055, 0.055, 0.06, 0.115, 0.115, 0.1, 0.1)
_HALO = (0.05, 0.08, 0.08, 0.1, 0.17, 0.2, 0.24, 0.28)
_MATTERS = (1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.4, 0.4)
# Margin around a blob, in heights.
MARGIN = 0.3
# How far a peak of the edge stands out, and how far apart two are, in heights.
PROMINENT, APART = 0.045, 0.1
# What a figure costs, in areas of a figure: of somebody expected, who was seen alone before or not,
# of a head, of a trunk and of feet.
EXPECTED_COST, UNSURE_COST = 0.03, 0.2
HEAD_COST, TRUNK_COST, FEET_COST = 0.12, 0.25, 0.3
# What a pixel in a halo costs of one that is in nothing.
IN_HALO = 0.35
# Figures nearer than that, in heights, across and in depth, are the same.
SAME_ACROSS, SAME_DEPTH = 0.11, 0.12
# Share of the rows of a trunk that a column of it fills; arms fill less.
TRUNK_FILLED = 0.7
# Half the breadth of a trunk, in heights.
HALF_TRUNK = 0.115
# Shares of the height, from the top, between which the neck is.
NECK = (0.11, 0.16)
# Steps by which figures are moved, in heights.
_MOVES = ((-0.1, 0.0), (-0.05, 0.0), (0.05, 0.0), (0.1, 0.0), (0.0, -0.05), (0.0, 0.05))


@dataclass(frozen=True, slots=True)
class Figure:
    """Possible place of a person.

    Attributes:
        x: Column of the middle.
        top: Row of the head's upper end.
        foot: Row of the feet.
        cost: Cost of selecting it, in areas of a figure.
        person: Number of the expected person, or None.
    """

    x: float
    top: float
    foot: float
    cost: float
    person: int | None = None

    @property
    def height(self) -> float:
        """From the feet to the head."""
        return self.foot - self.top

    def same(self, other: Figure) -> bool:
        """Whether both stand for one person."""
        tall = max(self.height, other.height)
        across = abs(self.x - other.x) < SAME_ACROSS * tall
        return across and abs(self.foot - other.foot) < SAME_DEPTH * tall


def peaks(mask: NDArray[np.uint8], height: float, *, upper: bool = True) -> list[tuple[int, int]]:
    """(column, row) of peaks of a mask's upper edge, or lower edge, from the left.

    Args:
        mask: uint8 [h, w].
        height: Of a person, in pixels.
        upper: Which edge.
    """
    rows = mask if upper else mask[::-1]
    filled = rows.any(axis=0)
    edge = np.where(filled, rows.argmax(axis=0), len(mask)).astype(np.float64)
    edge = median_filter(edge, size=max(1, round(0.03 * height) // 2 * 2 + 1), mode="nearest")
    padded = np.concatenate([[len(mask)], edge, [len(mask)]])
    columns, _ = find_peaks(
        -padded, prominence=max(2.0, PROMINENT * height), distance=max(1.0, APART * height)
    )
    last = len(mask) - 1
    return [
        (int(x) - 1, int(padded[x]) if upper else last - int(padded[x]))
        for x in columns
        if padded[x] < len(mask)
    ]


def trunk(mask: NDArray[np.uint8], top: float, height: float) -> tuple[float, float] | None:
    """First and last column of the trunks in a blob; None where there are none.

    Args:
        mask: uint8 [h, w].
        top: Row of a head.
        height: Of a person, in pixels.
    """
    rows = mask[max(0, round(top + 0.24 * height)) : max(1, round(top + 0.5 * height))]
    full = np.flatnonzero((rows > 0).sum(axis=0) >= TRUNK_FILLED * max(len(rows), 1))
    return (float(full[0]), float(full[-1] + 1)) if len(rows) and len(full) else None


def neck(mask: NDArray[np.uint8]) -> float:
    """Least breadth between head and shoulders of a person who fills a mask, in heights.

    Args:
        mask: uint8 [h, w], from the head to the feet.
    """
    tall = len(mask)
    rows = mask[round(NECK[0] * tall) : round(NECK[1] * tall) + 1] > 0
    widths = [int(np.ptp(np.flatnonzero(row))) + 1 for row in rows if row.any()]
    return min(widths, default=0) / max(tall, 1)


def explain(
    mask: NDArray[np.uint8],
    proposals: Sequence[Figure],
    beyond: tuple[bool, bool, bool, bool] = (False, False, False, False),
) -> tuple[list[Figure], float]:
    """The figures that explain a blob best.

    Args:
        mask: uint8 [h, w] of 0 and 255.
        proposals: In pixels of the mask; one at least.
        beyond: Whether the picture ends at the mask's left, top, right, bottom: parts of a figure
            beyond may exist or not.

    Returns:
        Figures in pixels of the mask, in no order, and the share of the blob they do not explain.
    """
    tall = max(one.height for one in proposals)
    shrink = min(1.0, WORKING_HEIGHT / tall)
    size = (max(1, round(mask.shape[1] * shrink)), max(1, round(mask.shape[0] * shrink)))
    small = cv2.resize(mask, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    margin = round(MARGIN * tall * shrink)
    left, top, right, bottom = (0 if end else margin for end in beyond)
    canvas = _Canvas(
        np.pad(small, ((top, bottom), (left, right))),
        [_scaled(one, shrink, left, top) for one in proposals],
    )
    selected = canvas.best()
    back = [_scaled(one, 1 / shrink, -left / shrink, -top / shrink) for one in selected]
    return back, canvas.unexplained(selected)


def _scaled(figure: Figure, factor: float, right: float, down: float) -> Figure:
    return replace(
        figure,
        x=figure.x * factor + right,
        top=figure.top * factor + down,
        foot=figure.foot * factor + down,
    )


class _Canvas:
    """A small blob and figures that are put onto it."""

    def __init__(self, blob: Floats, proposals: list[Figure]) -> None:
        self._blob, self._gap = blob, 1 - blob
        self._proposals = proposals
        self._total = float(blob.sum())
        self._area = float(np.mean([_outline(round(p.height))[0].sum() for p in proposals]))
        self._drawn: dict[Figure, tuple[Floats, Mask]] = {}

    def best(self) -> list[Figure]:
        """Add, remove, exchange and move figures while that lowers the cost."""
        selected: list[Figure] = []
        for one in sorted(self._proposals, key=lambda p: p.cost):
            if not any(one.same(other) for other in selected):
                selected.append(one)
        cost = self._cost(selected)
        for _ in range(3):
            before = cost
            selected, cost = self._changed(selected, cost)
            selected, cost = self._moved(selected, cost)
            if cost > before - 1e-6:
                break
        return selected

    def unexplained(self, selected: list[Figure]) -> float:
        """Share of the blob outside of all figures and halos."""
        return self._rest(selected) / max(self._total, 1.0)

    def _changed(self, selected: list[Figure], cost: float) -> tuple[list[Figure], float]:
        while True:
            others = [p for p in self._proposals if not any(p.same(one) for one in selected)]
            trials = [[one for one in selected if one is not out] for out in selected]
            trials += [[*selected, more] for more in others]
            if not trials:
                return selected, cost
            costs = [self._cost(trial) for trial in trials]
            best = int(np.argmin(costs))
            if costs[best] >= cost - 1e-6:
                return selected, cost
            selected, cost = trials[best], costs[best]

    def _moved(self, selected: list[Figure], cost: float) -> tuple[list[Figure], float]:
        for place, one in enumerate(selected):
            for across, down in _MOVES:
                right, low = across * one.height, down * one.height
                moved = replace(one, x=one.x + right, top=one.top + low, foot=one.foot + low)
                rest = selected[:place] + selected[place + 1 :]
                if any(moved.same(other) for other in rest):
                    continue
                trial = [*selected[:place], moved, *selected[place + 1 :]]
                if (after := self._cost(trial)) < cost - 1e-6:
                    selected, cost = trial, after
        return selected, cost

    def _cost(self, selected: list[Figure]) -> float:
        wasted = 0.0
        if selected:
            figures = np.max([self._draw(one)[0] for one in selected], axis=0)
            wasted = float((figures * self._gap).sum())
        costs = sum(one.cost for one in selected)
        return (self._rest(selected, IN_HALO) + wasted) / self._area + costs

    def _rest(self, selected: list[Figure], halo: float = 0.0) -> float:
        """Pixels of the blob in no figure; those in a halo count by this share."""
        if not selected:
            return self._total
        halos = np.any([self._draw(one)[1] for one in selected], axis=0)
        rest = float(self._blob[~halos].sum())
        if halo:
            figures = np.any([self._draw(one)[0] > 0 for one in selected], axis=0)
            rest += halo * float(self._blob[halos & ~figures].sum())
        return rest

    def _draw(self, figure: Figure) -> tuple[Floats, Mask]:
        if figure not in self._drawn:
            core, halo = _outline(max(4, round(figure.height)))
            weights, region = np.zeros_like(self._blob), np.zeros(self._blob.shape, np.bool_)
            top, left = round(figure.top), round(figure.x) - core.shape[1] // 2
            target, source = _meeting((top, left), core.shape, self._blob.shape)
            weights[target], region[target] = core[source], halo[source]
            self._drawn[figure] = weights, region
        return self._drawn[figure]


def _meeting(
    corner: tuple[int, int], size: tuple[int, ...], within: tuple[int, ...]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Slices of the larger array and of the smaller one put into it at ``corner``."""
    larger, smaller = [], []
    for start, length, limit in zip(corner, size, within, strict=True):
        first, last = max(start, 0), max(max(start, 0), min(start + length, limit))
        larger.append(slice(first, last))
        smaller.append(slice(first - start, last - start))
    return tuple(larger), tuple(smaller)


def half_widths(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Half width of a figure, in heights, at shares [n] of its height from the top."""
    return np.interp(shares, _ROWS, _HALF)


@lru_cache(maxsize=256)
def _outline(height: int) -> tuple[Floats, Mask]:
    """Weights of a figure and its halo, [height, width]; the middle column is the figure's."""
    height = max(4, height)
    shares = (np.arange(height) + 0.5) / height
    across = np.arange(-round(0.3 * height), round(0.3 * height) + 1)
    core = np.abs(across) <= np.interp(shares, _ROWS, _HALF)[:, None] * height
    halo = np.abs(across) <= np.interp(shares, _ROWS, _HALO)[:, None] * height
    weights = np.interp(shares, _ROWS, _MATTERS)[:, None] * core
    return weights.astype(np.float32), np.asarray(halo)
