"""Height of people in a picture, by the row that they stand on.

A camera that stands still over level ground shows everybody who stands on one row about equally
high, and the height grows linearly with the row. The line is learnt from the parts of the picture
that have a person's shape; most of them have to agree, so that parts which hold two people, or half
of one, do not matter.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

# Parts of which the line is learnt: that many at least, that many of the latest at most.
LEAST_PARTS, MOST_PARTS = 12, 1500
# Parts within this share of the line agree with it, and this share of all has to.
AGREE, MAJORITY = 0.12, 0.4
# Lines that are tried; and new parts after which the line is learnt again.
TRIALS, RENEW = 300, 60
# Height that grows faster by the row than this is not of people on level ground.
STEEPEST = 1.6
# Rows beyond those where people were seen, in their heights, up to which the line is followed.
BEYOND = 0.4


class Ground:
    """The line from the row of the feet to the height, both in pixels.

    Args:
        parts: (row of the feet, height) of parts that have a person's shape.
    """

    def __init__(self, parts: Iterable[tuple[float, float]] = ()) -> None:
        self._parts: deque[tuple[float, float]] = deque(parts, maxlen=MOST_PARTS)
        self._new = 0
        self._line: tuple[float, float] | None = None
        self._rows = (0.0, 0.0)
        self._learn()

    @property
    def known(self) -> bool:
        """Whether there is a line."""
        return self._line is not None

    @property
    def slope(self) -> float:
        """Pixels by which the height grows from one row to the next; 0 where it is unknown."""
        return self._line[0] if self._line is not None else 0.0

    @property
    def usual(self) -> float:
        """Height of a person between the farthest and the nearest row that people were seen on."""
        return float(np.sqrt(self.height(self._rows[0]) * self.height(self._rows[1])))

    @property
    def support(self) -> int:
        """Number of parts that agree with the line; 0 where there is none."""
        if self._line is None:
            return 0
        return sum(abs(tall - self.height(foot)) < AGREE * tall for foot, tall in self._parts)

    def add(self, foot: float, height: float) -> None:
        """Add another part that has a person's shape."""
        self._parts.append((foot, height))
        self._new += 1
        if self._new >= (RENEW if self.known else LEAST_PARTS):
            self._learn()

    def height(self, foot: float) -> float:
        """Height of a person who stands on this row, in pixels.

        Raises:
            ValueError: no line was estimated yet.
        """
        if self._line is None:
            raise ValueError("no line was learnt yet")
        slope, offset = self._line
        return slope * min(max(foot, self._rows[0]), self._rows[1]) + offset

    def foot(self, top: float) -> float | None:
        """Row of the feet of a person with the head at this row; None where unclear.

        From a camera at head height all heads are on one row, wherever people stand.
        """
        if self._line is None or self._line[0] > 0.7:
            return None
        slope, offset = self._line
        row = (top + offset) / (1 - slope)
        return top + self.height(row)

    def _learn(self) -> None:
        self._new = 0
        if len(self._parts) < LEAST_PARTS:
            return
        parts = np.array(self._parts, np.float64)
        line = _agreed(parts[:, 0], parts[:, 1])
        if line is None:
            return
        self._line, rows = line
        low, high = (self._line[0] * row + self._line[1] for row in rows)
        self._rows = (rows[0] - BEYOND * low, rows[1] + BEYOND * high)


def _agreed(
    feet: NDArray[np.float64], heights: NDArray[np.float64]
) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """Slope and offset of the line most parts agree with, and the rows that these stand on."""
    random = np.random.default_rng(0)
    first, second = random.integers(0, len(feet), (2, TRIALS))
    apart = feet[second] - feet[first]
    far = np.abs(apart) >= 4
    slopes = (heights[second] - heights[first])[far] / apart[far]
    offsets = heights[first][far] - slopes * feet[first][far]
    level = np.quantile(heights, np.linspace(0.1, 0.9, 17))
    slopes = np.concatenate([slopes, np.zeros(len(level))])
    offsets = np.concatenate([offsets, level])
    sound = (slopes >= 0) & (slopes <= STEEPEST)
    slopes, offsets = slopes[sound], offsets[sound]
    expected = slopes[:, None] * feet + offsets[:, None]
    error = np.abs(heights - expected) / np.maximum(expected, 1.0)
    agreement = np.clip(1 - error / AGREE, 0, None).sum(axis=1)
    best = int(agreement.argmax())
    inside = error[best] < AGREE
    if inside.sum() < max(LEAST_PARTS / 2, MAJORITY * len(feet)):
        return None
    slope, offset = float(slopes[best]), float(offsets[best])
    rows = np.quantile(feet[inside], (0.02, 0.98))
    if rows[1] - rows[0] > 8:
        offset_fit, slope_fit = np.polynomial.polynomial.polyfit(feet[inside], heights[inside], 1)
        if 0 <= slope_fit <= STEEPEST:
            slope, offset = float(slope_fit), float(offset_fit)
    return (slope, offset), (float(rows[0]), float(rows[1]))
