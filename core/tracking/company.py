"""Hidden people: tracks that end, or begin, in the middle of another's box.

People leave a scene only at the picture's edge. A person who disappears elsewhere is behind the one
they met until somebody reappears, and a person who appears there was hidden before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from core.tracking.tracks import Boxes, Track, area, overlap, touches_edge

# Share of the last or first box that has to be inside another's for its person to be hidden there.
INSIDE = 0.5
# What is lower than this share of the other is a part, not a person.
LEAST_TALL = 0.6
# Seconds after an end, or before a beginning, within which the other takes the place.
LATELY = 0.3
# Seconds for which both have to be there, else the one goes on as the other.
TOGETHER = 0.2
# Seconds for which a person has to be seen.
LEAST_SECONDS = 1.0


def with_company(tracks: Sequence[Track], size: tuple[int, int], rate: float) -> list[Track]:
    """Mark frames in which somebody else is hidden behind a person as doubtful.

    Args:
        tracks: All of a video.
        size: (height, width) of the picture.
        rate: Frames a second.
    """
    result = []
    for track in tracks:
        hidden = _accompanied(track, tracks, size, rate)
        doubt = hidden if track.doubtful is None else track.doubtful | hidden
        result.append(replace(track, doubtful=doubt))
    return result


def _accompanied(
    track: Track, tracks: Sequence[Track], size: tuple[int, int], rate: float
) -> NDArray[np.bool_]:
    changes: list[tuple[int, int]] = []
    for other in tracks:
        if other.number == track.number or len(other) < LEAST_SECONDS * rate:
            continue
        for place, change in ((0, -1), (-1, 1)):
            frame, box = int(other.frames[place]), other.boxes[place]
            if _hidden_by(track, frame, change, box, rate) and not touches_edge(box[None], size)[0]:
                changes.append((frame, change))
    hidden = np.zeros(len(track), np.bool_)
    changes.sort()
    before = int(track.frames[0])
    count = 0
    for frame, change in changes:
        if change > 0:
            count, before = count + 1, (before if count else frame)
            continue
        # A person who appears was hidden since another disappeared, or from the beginning.
        hidden |= (track.frames >= before) & (track.frames <= frame)
        count, before = max(0, count - 1), frame
    if count:
        hidden |= track.frames >= before
    return hidden


def _hidden_by(track: Track, frame: int, change: int, box: Boxes, rate: float) -> bool:
    """Whether a box [4] is behind the person of a track just after a frame, or just before it."""
    late = (track.frames - frame) * change
    if late.min() > -TOGETHER * rate:
        return False
    theirs = track.boxes[(late >= 0) & (late <= LATELY * rate)]
    tall = box[3] - box[1] >= LEAST_TALL * (theirs[:, 3] - theirs[:, 1])
    inside = overlap(box[None], theirs) > INSIDE * area(box)
    return bool((tall & inside).any())
