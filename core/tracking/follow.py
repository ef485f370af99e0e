"""Boxes of single frames joined to tracks: each box to the person expected there."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment

from core.tracking.tracks import Boxes, Track, area, iou, overlap

# Boxes that a person's expected box overlaps less than this are somebody else's.
LEAST_IOU = 0.3
# Frames for which a person may be hidden; over them the way goes on as before.
PATIENCE = 15
# Tracks of fewer frames are flicker: nobody.
FLICKER = 5
# Frames from which speed is estimated.
MEMORY = 10
# Share of two persons' expected boxes inside one box that makes it a box of both.
BOTH = 0.6


@dataclass(slots=True, eq=False)
class _Person:
    frames: list[int] = field(default_factory=list)
    boxes: list[Boxes] = field(default_factory=list)

    def expected(self, frame: int) -> Boxes:
        """Where the box [4] should be: the last one, moved at the speed of the last few."""
        last = self.boxes[-1]
        known = min(MEMORY, len(self.boxes))
        if known < 3:
            return last
        times = np.array(self.frames[-known:], np.float64)
        recent = np.stack(self.boxes[-known:])
        centres = (recent[:, :2] + recent[:, 2:]) / 2
        speed = np.polynomial.polynomial.polyfit(times - times[-1], centres, 1)[1]
        return np.asarray(last + np.tile(speed, 2) * (frame - self.frames[-1]))


class Follower:
    """Joins boxes frame by frame; who is hidden for a moment is expected on the way so far.

    A box that holds two people who were apart before (they cross, and the one hides the other) is
    nobody's: a track never shows two people, and goes on when they are apart again.
    """

    def __init__(self) -> None:
        self._here: list[_Person] = []
        self._gone: list[_Person] = []

    def add(self, frame: int, boxes: Boxes) -> None:
        """Take the boxes [n, 4] of the next frame; ``frame`` rises, gaps are time gone by."""
        self._leave(frame)
        free = np.ones(len(boxes), np.bool_)
        if self._here and len(boxes):
            expected = np.stack([person.expected(frame) for person in self._here])
            free = ~_of_both(boxes, expected)
            alike = iou(expected, boxes) * free
            for mine, theirs in zip(*linear_sum_assignment(-alike), strict=True):
                if alike[mine, theirs] >= LEAST_IOU:
                    self._here[mine].frames.append(frame)
                    self._here[mine].boxes.append(boxes[theirs])
                    free[theirs] = False
        self._here += [_Person([frame], [box]) for box in boxes[free]]

    def tracks(self) -> list[Track]:
        """All tracks in order of appearance, without flicker."""
        people = [p for p in (*self._gone, *self._here) if len(p.frames) >= FLICKER]
        people.sort(key=lambda person: (person.frames[0], float(person.boxes[0][0])))
        return [
            Track(number, np.array(person.frames, np.int64), np.stack(person.boxes))
            for number, person in enumerate(people, 1)
        ]

    def _leave(self, frame: int) -> None:
        kept = [person for person in self._here if frame - person.frames[-1] <= PATIENCE]
        self._gone += [person for person in self._here if person not in kept]
        self._here = kept


def _of_both(boxes: Boxes, expected: Boxes) -> np.ndarray:
    """Which boxes [n, 4] hold most of two or more expected ones [m, 4]: bool [n]."""
    inside = overlap(expected[None], boxes[:, None]) / np.maximum(area(expected), 1.0)
    return np.asarray((inside >= BOTH).sum(axis=1) >= 2)
