"""People's ways through a video, as far as tracking is certain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from core.tracking.looks import Look
from core.tracking.tracks import Boxes, area, overlap

# Seconds that share one look.
STEP = 0.4
# Two people meet where they share more than this of the smaller box.
MEET = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Way:
    """One person's way, or a part of it.

    Attributes:
        frames: int64 [n], rising.
        boxes: float64 [n, 4].
        two: bool [n], boxes that hold two people.
        legs: float64 [n], breadth of the legs, in heights; nan where they are not certainly
            visible, whole and separate.
        looks: What the person wears, by the number of the step of the video.
        guessed: bool [n], boxes that may be off: taken from those before and after, or rough.
    """

    frames: NDArray[np.int64]
    boxes: Boxes
    two: NDArray[np.bool_]
    guessed: NDArray[np.bool_]
    legs: NDArray[np.float64]
    looks: dict[int, Look]

    def part(self, mask: NDArray[np.bool_], rate: float) -> Way:
        """The way with these of its frames."""
        frames = self.frames[mask]
        steps = {step_of(int(frame), rate) for frame in frames}
        looks = {step: look for step, look in self.looks.items() if step in steps}
        boxes, two, guessed = self.boxes[mask], self.two[mask], self.guessed[mask]
        return Way(frames, boxes, two, guessed, self.legs[mask], looks)

    def look(self, first: int, last: int) -> Look | None:
        """Mean look of the steps from ``first`` to ``last``; None without any."""
        looks = [look for step, look in self.looks.items() if first <= step <= last]
        return np.mean(looks, axis=0) if looks else None


def step_of(frame: int, rate: float) -> int:
    """Step of a video that a frame belongs to."""
    return int(frame / rate / STEP)


def boxes_at(way: Way, frames: NDArray[np.int64]) -> Boxes:
    """Boxes of a way in these frames, [n, 4]; in gaps from those before and after."""
    return np.stack([np.interp(frames, way.frames, side) for side in way.boxes.T], axis=1)


def meeting(one: Way, other: Way) -> NDArray[np.int64]:
    """Frames in which two people are in one place, or would be where they are hidden."""
    frames = np.arange(
        max(one.frames[0], other.frames[0]), min(one.frames[-1], other.frames[-1]) + 1
    )
    boxes, others = boxes_at(one, frames), boxes_at(other, frames)
    least = np.maximum(np.minimum(area(boxes), area(others)), 1.0)
    return np.asarray(frames[overlap(boxes, others) > MEET * least], np.int64)


def chained(ways: Sequence[Way]) -> Way:
    """Ways one after the other as one."""
    looks: dict[int, Look] = {}
    for way in ways:
        looks.update(way.looks)
    return Way(
        np.concatenate([way.frames for way in ways]),
        np.concatenate([way.boxes for way in ways]),
        np.concatenate([way.two for way in ways]),
        np.concatenate([way.guessed for way in ways]),
        np.concatenate([way.legs for way in ways]),
        looks,
    )


def filled(way: Way, longest: float) -> Way:
    """The way with the boxes of gaps of so many frames taken from those before and after."""
    steps = np.diff(way.frames)
    short = (steps > 1) & (steps <= longest)
    more = [
        np.arange(way.frames[place] + 1, way.frames[place + 1]) for place in np.flatnonzero(short)
    ]
    if not more:
        return way
    between = np.concatenate(more)
    frames = np.concatenate([way.frames, between])
    order = np.argsort(frames, kind="stable")
    none = np.zeros(len(between), np.bool_)
    return replace(
        way,
        frames=frames[order],
        boxes=np.stack(
            [np.interp(frames[order], way.frames, side) for side in way.boxes.T], axis=1
        ),
        two=np.concatenate([way.two, none])[order],
        guessed=np.concatenate([way.guessed, ~none])[order],
        legs=np.concatenate([way.legs, np.full(len(between), np.nan)])[order],
    )
