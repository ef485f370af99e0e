"""Detection of two people in one box by their legs.

Somebody who walks brings the legs together once with each step; then they are as broad as the hips,
seen from any side. The legs of two who walk side by side, the one behind the other for the camera,
do that only where both walk in time and are exactly in line. Else those in one box stay too broad
over whole steps, even where each frame shows but one head and one trunk.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.tracking.ways import Way

# Shares of the height, from the top, between which the legs are.
LEGS = (0.5, 0.9)
# Breadth of the hips with trousers, in heights; without them it is 0.191 (Drillis and Contini,
# Body segment parameters, 1966). Legs that are together are not broader, but for pixels of blur.
HIPS, BLUR = 0.2, 2.0
# Seconds before and after a frame within which the legs come together: one step at least each.
STRIDE = 0.5
# Share of a walker's frames in which the legs are together, at least.
TOGETHER = 0.1
# For how many seconds of these, and in how many frames, the legs have to be seen to tell.
LEAST_SECONDS, LEAST_FRAMES = 0.5, 5
# Seconds for which two are in the scene at once, to be two.
COMPANY = 0.5


def legs(mask: NDArray[np.uint8]) -> float:
    """Breadth of the legs of a person who fills a mask, in heights, less the blur of its edges.

    Args:
        mask: uint8 [h, w], from the head to the feet.
    """
    tall = len(mask)
    rows = mask[round(LEGS[0] * tall) : round(LEGS[1] * tall) + 1] > 0
    breadth = float(np.median(rows.sum(axis=1))) if len(rows) else 0.0
    return max(0.0, breadth - BLUR) / max(tall, 1)


def in_pairs(ways: Sequence[Way], rate: float) -> list[NDArray[np.bool_]]:
    """Frames of each way in which the box holds the legs of two people.

    A coat or a bag may be as broad. So this is reported only of people with company; a person with
    whom nobody else is in the scene is taken for one person.

    Args:
        ways: All of a video.
        rate: Frames a second.

    Returns:
        bool [n] for each way.
    """
    return [
        _too_broad(way, rate)
        if _has_company(way, ways, rate)
        else np.zeros(len(way.frames), np.bool_)
        for way in ways
    ]


def _has_company(way: Way, ways: Sequence[Way], rate: float) -> bool:
    """Whether another person is in the scene during a way, not a part of the same person."""
    return any(
        other is not way
        and min(way.frames[-1], other.frames[-1]) - max(way.frames[0], other.frames[0])
        >= COMPANY * rate
        for other in ways
    )


def _too_broad(way: Way, rate: float) -> NDArray[np.bool_]:
    """Frames [n] around which the legs are visible for a step at least, and never together."""
    visible = np.isfinite(way.legs)
    broad = np.zeros(len(way.frames), np.bool_)
    least = max(LEAST_FRAMES, round(LEAST_SECONDS * rate))
    if visible.sum() < least:
        return broad
    frames, breadths = way.frames[visible], way.legs[visible]
    reach = min(STRIDE * rate, (frames[-1] - frames[0]) / 2)
    # At both ends the second that is analysed is the first or the last one.
    middles = np.clip(way.frames, frames[0] + reach, frames[-1] - reach)
    first = np.searchsorted(frames, middles - reach)
    last = np.searchsorted(frames, middles + reach, side="right")
    for place in np.flatnonzero(last - first >= least):
        near = breadths[first[place] : last[place]]
        broad[place] = np.quantile(near, TOGETHER, method="lower") > HIPS
    return broad
