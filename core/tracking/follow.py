"""Join the boxes of single frames to tracks by the person expected at each box."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from core.tracking.certain import doubtful
from core.tracking.looks import Look, unlike
from core.tracking.people import Expected, Sighting
from core.tracking.rejoin import rejoined
from core.tracking.strides import in_pairs
from core.tracking.tracks import Boxes, Track, area, iou, overlap
from core.tracking.untangle import untangled
from core.tracking.ways import Way, filled, step_of

# Frames a second by default.
RATE = 25.0
# Boxes that a person's expected box overlaps less than this are somebody else's; so much less will
# do where the box was found by looking for this person.
LEAST_IOU, LEAST_HINTED = 0.3, 0.1
# What looking for this person, and other clothes, count beside the overlap.
HINT, CLOTHES = 0.2, 0.8
# Seconds for which a person may be hidden; meanwhile the path continues as before.
PATIENCE = 0.8
# People not detected for longer than this many seconds are matched after the others.
LATELY = 0.25
# Shorter tracks, in seconds or frames, are discarded as false detections.
FLICKER, LEAST_FRAMES = 0.2, 3
# Seconds from which speed is estimated.
MEMORY = 0.4
# Seconds of a gap in which the boxes are taken from those before and after.
GAP = 0.8
# Share of two persons' expected boxes inside one box that makes it a box of both.
BOTH = 0.6


@dataclass(slots=True, eq=False)
class _Person:
    number: int
    frames: list[int] = field(default_factory=list)
    boxes: list[Boxes] = field(default_factory=list)
    two: list[bool] = field(default_factory=list)
    rough: list[bool] = field(default_factory=list)
    legs: list[float] = field(default_factory=list)
    look: Look | None = None
    looks: int = 0
    alone: int = 0
    steps: dict[int, tuple[int, Look]] = field(default_factory=dict)

    def see(self, frame: int, box: Boxes, sighting: Sighting | None, step: int) -> None:
        """Add a place in a frame, which belongs to a step of the video."""
        self.frames.append(frame)
        self.boxes.append(box)
        self.two.append(sighting is not None and sighting.two)
        self.rough.append(sighting is not None and sighting.rough)
        self.legs.append(math.nan if sighting is None else sighting.legs)
        if sighting is not None:
            self.looks += 1
            self.alone += sighting.alone and not sighting.two
            share = max(1 / self.looks, 0.04 if sighting.alone else 0.01)
            before = sighting.look if self.look is None else self.look
            self.look = np.asarray((1 - share) * before + share * sighting.look, np.float32)
            count, mean = self.steps.get(step, (0, sighting.look))
            mean = np.asarray(mean + (sighting.look - mean) / (count + 1), np.float32)
            self.steps[step] = count + 1, mean

    def expected(self, frame: int, memory: int) -> Boxes:
        """Expected box [4]: as large as lately, moved at the speed of late."""
        first = max(0, len(self.frames) - memory)
        times = np.array(self.frames[first:], np.float64)
        recent = np.stack(self.boxes[first:])
        if len(recent) < 3:
            return self.boxes[-1]
        half = np.median(recent[:, 2:] - recent[:, :2], axis=0) / 2
        centres = (recent[:, :2] + recent[:, 2:]) / 2
        offset, speed = np.polynomial.polynomial.polyfit(times - frame, centres, 1)
        # The middle wanders with the steps: half of what the line says, half of where it was last.
        last = centres[-1] + speed * (frame - times[-1])
        middle = (offset + last) / 2
        return np.concatenate([middle - half, middle + half])


class Follower:
    """Tracker that joins boxes frame by frame; briefly hidden people are expected on their path.

    A box that holds two people who were apart before (they cross, and the one hides the other) is
    not assigned: a track never shows two people, and resumes when they are apart again.

    Args:
        rate: Frames a second.
    """

    def __init__(self, rate: float = RATE) -> None:
        self._rate = rate
        self._memory = max(3, round(MEMORY * rate))
        self._present: list[_Person] = []
        self._finished: list[_Person] = []
        self._count = 0

    def expected(self, frame: int) -> list[Expected]:
        """Expected people of a frame, with their boxes."""
        self._leave(frame)
        return [
            Expected(one.number, one.expected(frame, self._memory), one.alone >= LEAST_FRAMES)
            for one in self._present
            if len(one.frames) >= LEAST_FRAMES
        ]

    def add(
        self, frame: int, boxes: Boxes, sightings: Sequence[Sighting | None] | None = None
    ) -> None:
        """Add the next frame.

        Args:
            frame: Its number; numbers rise, gaps are time gone by.
            boxes: [n, 4].
            sightings: Further observations of each, if any.
        """
        self._leave(frame)
        step = step_of(frame, self._rate)
        observations = list(sightings) if sightings is not None else [None] * len(boxes)
        free = np.ones(len(boxes), np.bool_)
        if self._present and len(boxes):
            expected = np.stack([one.expected(frame, self._memory) for one in self._present])
            alike = iou(expected, boxes)
            score = self._score(alike, observations)
            score[:, _of_both(boxes, expected, observations)] = 0
            free = ~_of_both(boxes, expected, observations)
            lately = frame - np.array([one.frames[-1] for one in self._present])
            late = lately > max(1, round(LATELY * self._rate))
            for group in (np.flatnonzero(~late), np.flatnonzero(late)):
                open_boxes = np.flatnonzero(free)
                part = score[np.ix_(group, open_boxes)]
                for mine, theirs in zip(*linear_sum_assignment(-part), strict=True):
                    if part[mine, theirs] > 0:
                        number = int(open_boxes[theirs])
                        self._present[group[mine]].see(
                            frame, boxes[number], observations[number], step
                        )
                        free[number] = False
        for number in np.flatnonzero(free).tolist():
            self._count += 1
            person = _Person(self._count)
            person.see(frame, boxes[number], observations[number], step)
            self._present.append(person)

    def tracks(self) -> list[Track]:
        """All tracks in order of appearance, without false detections."""
        least = max(LEAST_FRAMES, round(FLICKER * self._rate))
        people = [p for p in (*self._finished, *self._present) if len(p.frames) >= least]
        ways = [
            Way(
                np.array(p.frames, np.int64),
                np.stack(p.boxes),
                np.array(p.two, np.bool_),
                np.array(p.rough, np.bool_),
                np.array(p.legs, np.float64),
                {step: look for step, (_, look) in p.steps.items()},
            )
            for p in people
        ]
        ways = rejoined(untangled(ways, self._rate), self._rate)
        ways = [filled(way, GAP * self._rate) for way in ways if len(way.frames) >= least]
        ways.sort(key=lambda way: (int(way.frames[0]), float(way.boxes[0, 0])))
        pairs, doubts = in_pairs(ways, self._rate), doubtful(ways, self._rate)
        return [
            Track(number, way.frames, way.boxes, way.two | pair, way.guessed, doubt)
            for number, (way, pair, doubt) in enumerate(zip(ways, pairs, doubts, strict=True), 1)
        ]

    def _score(
        self, alike: NDArray[np.float64], observations: Sequence[Sighting | None]
    ) -> NDArray[np.float64]:
        """Score of each box for each person, [m, n]; 0 where it does not match."""
        score = np.where(alike >= LEAST_IOU, alike, 0.0)
        for number, sighting in enumerate(observations):
            if sighting is None:
                continue
            for mine, person in enumerate(self._present):
                hinted = sighting.person == person.number
                if alike[mine, number] < (LEAST_HINTED if hinted else LEAST_IOU):
                    continue
                other = 0.0 if person.look is None else unlike(person.look, sighting.look)
                score[mine, number] = max(
                    alike[mine, number] + HINT * hinted - CLOTHES * other, 1e-3
                )
        return score

    def _leave(self, frame: int) -> None:
        patience = PATIENCE * self._rate
        present = [person for person in self._present if frame - person.frames[-1] <= patience]
        self._finished += [person for person in self._present if person not in present]
        self._present = present


def _of_both(
    boxes: Boxes, expected: Boxes, observations: Sequence[Sighting | None]
) -> NDArray[np.bool_]:
    """Boxes [n, 4] that hold most of two or more expected ones [m, 4]: bool [n].

    Boxes of people who were separated in one blob are each of one.
    """
    inside = overlap(expected[None], boxes[:, None]) / np.maximum(area(expected), 1.0)
    both = (inside >= BOTH).sum(axis=1) >= 2
    apart = np.array([one is not None and not one.two for one in observations], np.bool_)
    return np.asarray(both & ~apart)
