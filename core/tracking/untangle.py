"""Correct ways that switched from one person to another at a meeting, by the clothes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from core.tracking.looks import Look, unlike
from core.tracking.ways import Way, chained, meeting, step_of

# Steps before and after that are compared, and how far away they may be.
WINDOW, FARTHEST = 3, 8
# How much more alike the clothes have to be the other way round.
GAIN = 0.3
# From this on somebody is another person after a meeting than before.
ANOTHER = 0.5
# How often ways are exchanged at most, for each way.
EXCHANGES = 4


def untangled(ways: Sequence[Way], rate: float) -> list[Way]:
    """Exchange the rest of two ways where that fits the clothes better, and cut where neither does.

    Args:
        ways: All of a video.
        rate: Frames a second.
    """
    ways = list(ways)
    pairs = [
        pair
        for pair in combinations(range(len(ways)), 2)
        if max(ways[n].frames[0] for n in pair) <= min(ways[n].frames[-1] for n in pair)
    ]
    best = {pair: _exchange(ways, pair, rate) for pair in pairs}
    for _ in range(EXCHANGES * len(ways)):
        pair = max(best, key=lambda pair: best[pair][0], default=None)
        if pair is None or best[pair][0] <= GAIN:
            break
        first, second = pair
        ways[first], ways[second] = _exchanged(ways[first], ways[second], best[pair][1], rate)
        for other in pairs:
            if first in other or second in other:
                best[other] = _exchange(ways, other, rate)
    return [part for way in ways for part in _split(way, ways, rate)]


def _exchange(ways: Sequence[Way], pair: tuple[int, int], rate: float) -> tuple[float, int]:
    """Gain of exchanging two ways, and the step after which it is largest."""
    one, other = (ways[number] for number in pair)
    best = (0.0, 0)
    for step in _meetings(one, other, rate):
        before, after = _around(one, step), _around(other, step)
        if before is not None and after is not None:
            (a, b), (c, d) = before, after
            gain = unlike(a, b) + unlike(c, d) - unlike(a, d) - unlike(c, b)
            best = max(best, (gain, step))
    return best


def _meetings(one: Way, other: Way, rate: float) -> list[int]:
    """Steps in which two people meet."""
    return sorted({step_of(int(frame), rate) for frame in meeting(one, other)})


def _around(way: Way, step: int) -> tuple[Look, Look] | None:
    """Looks before a step and after it; None where one of them is not known."""
    before = [s for s in way.looks if step - FARTHEST <= s < step]
    after = [s for s in way.looks if step < s <= step + FARTHEST]
    if not before or not after:
        return None
    early, late = sorted(before)[-WINDOW:], sorted(after)[:WINDOW]
    return (
        np.mean([way.looks[s] for s in early], axis=0),
        np.mean([way.looks[s] for s in late], axis=0),
    )


def _exchanged(one: Way, other: Way, step: int, rate: float) -> tuple[Way, Way]:
    parts = []
    for way in (one, other):
        steps = np.array([step_of(int(frame), rate) for frame in way.frames])
        # When exactly they were mistaken for each other is unknown: skip that moment.
        parts.append((way.part(steps < step, rate), way.part(steps > step, rate)))
    (a, b), (c, d) = parts
    return chained([a, d]), chained([c, b])


def _split(way: Way, ways: Sequence[Way], rate: float) -> list[Way]:
    """Split the way where it continues as another person after a meeting."""
    steps: set[int] = set()
    for other in ways:
        if other is not way:
            steps.update(_meetings(way, other, rate))
    worst: list[int] = []
    for step in sorted(steps):
        around = _around(way, step)
        if around is not None and unlike(*around) > ANOTHER:
            worst.append(step)
    cuts = [step for place, step in enumerate(worst) if not place or step > worst[place - 1] + 1]
    if not cuts:
        return [way]
    number = np.searchsorted(cuts, [step_of(int(frame), rate) for frame in way.frames])
    parts = [way.part(number == place, rate) for place in range(len(cuts) + 1)]
    return [part for part in parts if len(part.frames)]
