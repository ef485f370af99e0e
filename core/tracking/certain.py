"""Which frames of a way show the same person for certain.

Where two people meet, the one may be taken for the other from then on. A part of a way that lies
beyond a meeting counts only if the clothes there are those of the rest, and clearly less those of
anybody else whom the way met.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.tracking.looks import Look, unlike
from core.tracking.ways import Way, meeting, step_of

# How unlike the clothes of one person may be at two times.
SAME = 0.5
# How much more unlike those of everybody else have to be.
MARGIN = 0.1


def doubtful(ways: Sequence[Way], rate: float) -> list[NDArray[np.bool_]]:
    """Frames of each way that may show another person than most of the way does.

    Args:
        ways: All of a video.
        rate: Frames a second.

    Returns:
        bool [n] for each way.
    """
    events = [_events(way, ways) for way in ways]
    parts = [_parts(way, met) for way, (met, _) in zip(ways, events, strict=True)]
    looks = [
        [look for part in own if (look := _look(way, part, rate)) is not None]
        for way, own in zip(ways, parts, strict=True)
    ]
    result = []
    for way, own, (met, others) in zip(ways, parts, events, strict=True):
        rivals = [look for other in others for look in looks[other] or _means(ways[other])]
        result.append(~_same(way, met, own, rivals, rate))
    return result


def _events(way: Way, ways: Sequence[Way]) -> tuple[NDArray[np.bool_], list[int]]:
    """Frames [n] of a way in which it meets somebody, and who may be taken for it.

    Those are the ones it meets; after a gap anybody may come in its place.
    """
    met = np.zeros(len(way.frames), np.bool_)
    rivals: list[int] = []
    gaps = bool((np.diff(way.frames) > 1).any())
    for number, other in enumerate(ways):
        if other is way:
            continue
        frames = meeting(way, other)
        met |= np.isin(way.frames, frames)
        if len(frames) or gaps:
            rivals.append(number)
    return met, rivals


def _parts(way: Way, met: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """Frames [n] of each part of a way between two meetings or gaps."""
    border = (np.diff(way.frames) > 1) | (met[1:] != met[:-1])
    number = np.concatenate([[0], np.cumsum(border)])
    parts = (~met & (number == place) for place in range(int(number[-1]) + 1))
    return [part for part in parts if part.any()]


def _same(
    way: Way,
    met: NDArray[np.bool_],
    parts: list[NDArray[np.bool_]],
    rivals: list[Look],
    rate: float,
) -> NDArray[np.bool_]:
    """Frames [n] that show whom the longest part shows."""
    if not way.looks or (not rivals and len(parts) < 2):
        return np.ones(len(way.frames), np.bool_)
    longest = max(parts, key=np.count_nonzero, default=None)
    here = None if longest is None else _look(way, longest, rate)
    look = _means(way)[0] if here is None else here
    steps = np.array([step_of(int(frame), rate) for frame in way.frames])
    same = np.zeros(len(way.frames), np.bool_) if longest is None else longest.copy()
    units = [*parts, *(met & (steps == step) for step in np.unique(steps[met]))]
    for unit in units:
        other = _look(way, unit, rate)
        if other is not None and _proved(other, look, rivals):
            same |= unit
    return same


def _proved(look: Look, own: Look, rivals: list[Look]) -> bool:
    """Whether clothes are those of somebody, and clearly less those of any rival."""
    mine = unlike(look, own)
    return mine <= SAME and all(unlike(look, rival) > mine + MARGIN for rival in rivals)


def _look(way: Way, part: NDArray[np.bool_], rate: float) -> Look | None:
    """Mean look in these frames; None where there is none."""
    steps = {step_of(int(frame), rate) for frame in way.frames[part]}
    looks = [way.looks[step] for step in sorted(steps) if step in way.looks]
    return np.asarray(np.mean(looks, axis=0), np.float32) if looks else None


def _means(way: Way) -> list[Look]:
    """Mean look of all of a way, as far as there is one."""
    looks = list(way.looks.values())
    return [np.asarray(np.mean(looks, axis=0), np.float32)] if looks else []
