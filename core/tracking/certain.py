"""Frames of a path that certainly show the same person.

Where two people meet, they may be confused from then on. A part of a way that lies
beyond a meeting counts only if the clothes there are those of the rest, and clearly less those of
anybody the path met.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.tracking.looks import Look, unlike
from core.tracking.ways import Way, meeting, step_of

# How unlike the clothes of one person may be at two times.
SAME = 0.5
# Least additional difference of everybody else's clothes.
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
    """Frames [n] of a path with a meeting, and the people it may be confused with.

    These are the people it meets; after a gap, anybody.
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
    """Frames [n] that show the same person as the longest part."""
    if not way.looks or (not rivals and len(parts) < 2):
        return np.ones(len(way.frames), np.bool_)
    longest = max(parts, key=np.count_nonzero, default=None)
    longest_look = None if longest is None else _look(way, longest, rate)
    look = _means(way)[0] if longest_look is None else longest_look
    steps = np.array([step_of(int(frame), rate) for frame in way.frames])
    same_person = np.zeros(len(way.frames), np.bool_) if longest is None else longest.copy()
    units = [*parts, *(met & (steps == step) for step in np.unique(steps[met]))]
    for unit in units:
        other = _look(way, unit, rate)
        if other is not None and _proved(other, look, rivals):
            same_person |= unit
    return same_person


def _proved(look: Look, own: Look, rivals: list[Look]) -> bool:
    """Whether clothes match a person, and clearly match any rival less."""
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
