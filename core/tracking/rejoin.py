"""Join the parts of one person's path by position and by clothes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from core.tracking.looks import unlike
from core.tracking.tracks import Boxes
from core.tracking.ways import Way, chained, step_of

# Seconds after which a returning person is not matched; from which speed is estimated.
LONGEST, MEMORY = 3.0, 0.6
# How far from the expected place a way may go on, in heights: at once, and for each second more.
NEAR, NEARER = 0.35, 0.45
# How unlike the clothes may be, and the heights.
MOST_UNLIKE, MOST_HIGHER = 0.45, 1.35
# The sum of both, as shares of the most that is allowed, up to which two ways are one.
MOST = 1.2
# Steps at either side whose looks are compared.
WINDOW = 4


def rejoined(ways: Sequence[Way], rate: float) -> list[Way]:
    """Join ways of which one continues where another ends.

    Args:
        ways: All of a video.
        rate: Frames a second.
    """
    ways = sorted(ways, key=lambda way: int(way.frames[0]))
    count = len(ways)
    costs = np.full((count, count), np.inf)
    starts = np.array([way.frames[0] for way in ways])
    for first, way in enumerate(ways):
        gap = (starts - way.frames[-1]) / rate
        for second in np.flatnonzero((gap > 0) & (gap <= LONGEST)):
            costs[first, second] = _cost(way, ways[second], rate)
    follows: dict[int, int] = {}
    if count:
        bounded = np.minimum(costs, MOST * 2)
        for first, second in zip(*linear_sum_assignment(bounded), strict=True):
            if costs[first, second] <= MOST:
                follows[int(first)] = int(second)
    chains = []
    for place in range(count):
        if place in follows.values():
            continue
        chain = [place]
        while chain[-1] in follows:
            chain.append(follows[chain[-1]])
        chains.append(chained([ways[number] for number in chain]))
    return chains


def _cost(first: Way, second: Way, rate: float) -> float:
    """Cost of joining the second to the end of the first; infinite where impossible."""
    heights = [
        float(np.median(way.boxes[part, 3] - way.boxes[part, 1]))
        for way, part in ((first, slice(-9, None)), (second, slice(0, 9)))
    ]
    tall = max(heights)
    if tall > MOST_HIGHER * min(heights):
        return np.inf
    memory = max(3, round(MEMORY * rate))
    end, begin = int(first.frames[-1]), int(second.frames[0])
    after = _place(first.frames[-memory:], first.boxes[-memory:], begin)
    before = _place(second.frames[:memory], second.boxes[:memory], end)
    start = _middle(second.boxes[:1])[0]
    finish = _middle(first.boxes[-1:])[0]
    error = min(
        (np.linalg.norm(after - start) + np.linalg.norm(before - finish)) / 2,
        np.linalg.norm(finish - start),
    )
    away = float(error) / tall / (NEAR + NEARER * (begin - end) / rate)
    last, following = step_of(end, rate), step_of(begin, rate)
    one = first.look(last - WINDOW, last)
    another = second.look(following, following + WINDOW)
    other = 0.5 * MOST_UNLIKE if one is None or another is None else unlike(one, another)
    if away > 1 or other > MOST_UNLIKE:
        return np.inf
    return away + other / MOST_UNLIKE


def _middle(boxes: Boxes) -> NDArray[np.float64]:
    """Middle of the lower edges, where feet are, [n, 2]."""
    return np.stack([(boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3]], axis=1)


def _place(frames: NDArray[np.int64], boxes: Boxes, frame: int) -> NDArray[np.float64]:
    """Extrapolated place in another frame, [2]."""
    places = _middle(boxes)
    if len(places) < 3:
        return np.asarray(places[-1] if frame > frames[-1] else places[0])
    offset, _ = np.polynomial.polynomial.polyfit(frames.astype(np.float64) - frame, places, 1)
    return np.asarray(offset)
