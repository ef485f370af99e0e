"""People in a frame of a static camera, separated with the help of earlier detections."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from core.tracking.background import Scene
from core.tracking.blobs import LEAST_HEIGHT, Blob, find_blobs
from core.tracking.figures import (
    EXPECTED_COST,
    FEET_COST,
    HALF_TRUNK,
    HEAD_COST,
    TRUNK_COST,
    UNSURE_COST,
    Figure,
    explain,
    neck,
    peaks,
    trunk,
)
from core.tracking.ground import Ground
from core.tracking.looks import Look, look_of
from core.tracking.owners import owners, visible_box
from core.tracking.strides import legs
from core.tracking.tracks import EDGE, Boxes, area, overlap

# In heights of a person: what is wider or higher is not one person alone; what is lower than the
# third is a part of one; what is lower than the fourth, or than the fifth at the picture's edge, is
# left out.
WIDEST, TALLEST, WHOLE, HALF, PIECE = 0.62, 1.22, 0.72, 0.5, 0.3
# Width over height from which a blob says how high people are.
NARROW = 0.15
# Breadth of a trunk, arms included, beyond which there may be two.
BROAD = 0.34
# A blob with a broader trunk than this holds two even if they cannot be separated; the width of all
# of it says little, as a shadow on the ground may be part of it.
TWO_BROAD, ROUGH_WIDE = 0.46, 0.72
# Where one person's neck should be there is not more than this share of the height and so many
# pixels of blur; else a second head is beside it.
THICK_NECK, BLUR = 0.2, 2.0
# How much higher or lower than others on the same row somebody may be.
SHORTEST, HIGHEST = 0.84, 1.15
# Share of an expected box that has to be inside a blob's box.
INSIDE = 0.5
# Where figures leave more than this share of a blob unexplained, it is not people.
UNEXPLAINED = 0.5
# What is lower than this share of somebody, and is by this share inside of the box, is a part.
PART_HEIGHT, PART_INSIDE = 0.6, 0.7


@dataclass(frozen=True, slots=True)
class Sighting:
    """A person in a frame.

    Attributes:
        box: float64 [4], left, top, right, bottom in pixels of the frame, ends out.
        look: Colours of the clothes.
        person: Number of the person expected there, or None.
        alone: Whether nobody else is in the same blob.
        two: Whether the box holds two people who cannot be separated.
        rough: Whether the box may be off, as the blob is wider than one person's: by a shadow, or
            something carried.
        legs: Breadth of the legs, in heights; nan where the person is not alone in the blob, or cut
            by the picture's edge.
    """

    box: NDArray[np.float64]
    look: Look
    person: int | None = None
    alone: bool = True
    two: bool = False
    rough: bool = False
    legs: float = math.nan


@dataclass(frozen=True, slots=True)
class Expected:
    """Expected place of a person detected before.

    Attributes:
        number: Number of the person.
        box: float64 [4] in the frame.
        sure: Whether the person was detected alone before, not only as a part of several.
    """

    number: int
    box: NDArray[np.float64]
    sure: bool


class Finder:
    """Detector of people, frame by frame, that learns their heights.

    Args:
        ground: Height of people by row.
    """

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def learn(self, scene: Scene) -> None:
        """Learn from the blobs of a frame that have one person's shape."""
        for blob in find_blobs(scene, self._ground):
            self._learn(blob, scene)

    def people(self, scene: Scene, expected: Sequence[Expected]) -> list[Sighting]:
        """People in a frame.

        Args:
            scene: The frame.
            expected: People detected before.
        """
        places = [replace(one, box=one.box / scene.scale) for one in expected]
        sightings = []
        for blob in find_blobs(scene, self._ground, [one.box for one in places]):
            inside = [one for one in places if _inside(one.box, blob)]
            sightings += self._in_blob(blob, inside, scene)
        return _without_parts(sightings, expected)

    def _in_blob(self, blob: Blob, inside: list[Expected], scene: Scene) -> list[Sighting]:
        if blob.height < LEAST_HEIGHT * len(scene.mask):
            return []
        is_known = self._ground.known
        tall = self._ground.height(blob.box[3]) if is_known else float(blob.height)
        heads = peaks(blob.mask, tall)
        wide, high = blob.width / tall, blob.height / tall
        sides = [trunk(blob.mask, row, tall) for _, row in heads if row < 0.2 * tall]
        breadth = max((right - left for left, right in filter(None, sides)), default=0.0) / tall
        broad = breadth > BROAD
        if len(heads) < 2 and not broad and len(inside) < 2:
            self._learn(blob, scene)
        several = len(inside) > 1 or wide > WIDEST or high > TALLEST
        if several or (high > WHOLE and (len(heads) > 1 or broad)):
            proposals = self._proposals(blob, heads, inside, tall)
            if proposals:
                return self._apart(blob, proposals, scene, breadth > TWO_BROAD)
        if not blob.shaped:
            return []
        if not (PIECE if self._cut(blob, scene) else HALF) <= high <= TALLEST:
            return []
        person = inside[0].number if len(inside) == 1 else None
        two = len(inside) > 1 or breadth > TWO_BROAD or _thick(blob.mask)
        box = np.array(blob.box, np.float64) * scene.scale
        look = look_of(scene.small, blob.box, blob.mask)
        rough = wide > ROUGH_WIDE
        breadth = math.nan if self._cut(blob, scene) else legs(blob.mask)
        return [Sighting(box, look, person, True, two, rough, breadth)]

    def _learn(self, blob: Blob, scene: Scene) -> None:
        tall = blob.height >= LEAST_HEIGHT * len(scene.mask)
        if (
            tall
            and blob.shaped
            and NARROW < blob.width / blob.height < WIDEST
            and not self._cut(blob, scene)
        ):
            self._ground.add(blob.box[3], blob.height)

    def _cut(self, blob: Blob, scene: Scene) -> bool:
        return any(self._ends(blob, scene))

    def _ends(self, blob: Blob, scene: Scene) -> tuple[bool, bool, bool, bool]:
        """Sides of a blob, from the left around, at which the picture ends."""
        height, width = scene.mask.shape
        left, top, right, bottom = blob.box
        return left < EDGE, top < EDGE, right > width - EDGE, bottom > height - EDGE

    def _proposals(
        self, blob: Blob, heads: list[tuple[int, int]], inside: list[Expected], tall: float
    ) -> list[Figure]:
        """Possible places of people, in pixels of the blob's mask."""
        figures = []
        corner = np.array([blob.left, blob.top] * 2)
        for one in inside:
            left, top, right, bottom = one.box - corner
            cost = EXPECTED_COST if one.sure else UNSURE_COST
            figures.append(Figure((left + right) / 2, top, bottom, cost, one.number))
        beside: list[Figure] = []
        for column, row in heads:
            foot = self._foot_below(blob, column, row, tall)
            if foot is not None:
                figures.append(Figure(column, row, foot, HEAD_COST))
                for x in self._trunks(blob, row, foot - row):
                    beside.append(Figure(x, row, foot, TRUNK_COST))
        figures += beside
        for column, row in peaks(blob.mask, tall, upper=False):
            height = self._ground.height(row + blob.top) if self._ground.known else tall
            feet = Figure(column, row + 1 - height, row + 1, FEET_COST)
            expected_here = (
                abs(feet.x - one.x) < 0.25 * height and abs(feet.foot - one.foot) < 0.2 * height
                for one in figures
            )
            if not any(expected_here):
                figures.append(feet)
        return figures

    def _trunks(self, blob: Blob, top: float, tall: float) -> list[float]:
        """Columns of the two outer trunks of a blob that is broader than one person's."""
        sides = trunk(blob.mask, top, tall)
        if sides is None or sides[1] - sides[0] < BROAD * tall:
            return []
        return [sides[0] + HALF_TRUNK * tall, sides[1] - HALF_TRUNK * tall]

    def _foot_below(self, blob: Blob, column: int, row: int, tall: float) -> float | None:
        """Row of the feet of a person with the head there; None where the height does not fit."""
        reach = max(1, round(0.15 * tall))
        part = blob.mask[row:, max(0, column - reach) : column + reach + 1]
        lowest = row + int(np.flatnonzero(part.any(axis=1))[-1]) + 1
        if not self._ground.known:
            return float(lowest) if lowest - row > SHORTEST * tall else row + tall
        share = (lowest - row) / self._ground.height(lowest + blob.top)
        if SHORTEST <= share <= HIGHEST:
            return float(lowest)
        below = self._ground.foot(row + blob.top)
        if below is None or below - blob.top > lowest + 0.2 * tall:
            return None
        return below - blob.top

    def _apart(
        self, blob: Blob, proposals: list[Figure], scene: Scene, broad: bool
    ) -> list[Sighting]:
        figures, rest = explain(blob.mask, proposals, self._ends(blob, scene))
        if rest > UNEXPLAINED:
            figures = [one for one in figures if one.person is not None]
        if not figures:
            return []
        figures.sort(key=lambda one: -one.foot)  # from the front
        owner, cores = owners(blob.mask, figures)
        sightings = []
        for number, figure in enumerate(figures):
            own = owner == number
            box = visible_box(figure, own, cores, number)
            if box is None:
                continue
            left, top, right, bottom = box
            mask = blob.mask[top:bottom, left:right]
            two = len(figures) == 1 and (broad or _thick(mask))
            part = np.asarray(own[top:bottom, left:right], np.uint8)
            place = (left + blob.left, top + blob.top, right + blob.left, bottom + blob.top)
            look = look_of(scene.small, place, part)
            placed = np.array(place, np.float64) * scene.scale
            alone = len(figures) == 1
            rough = alone and blob.width > ROUGH_WIDE * figure.height
            breadth = legs(mask) if alone and not self._cut(blob, scene) else math.nan
            sightings.append(Sighting(placed, look, figure.person, alone, two, rough, breadth))
        return sightings


def _without_parts(sightings: list[Sighting], expected: Sequence[Expected]) -> list[Sighting]:
    """Remove sightings of a part, such as a head or arm, of a larger or an expected person.

    Args:
        sightings: Of a frame.
        expected: Expected people.
    """
    larger = [(one.box, one.person) for one in sightings]
    larger += [(one.box, one.number) for one in expected]
    if not sightings:
        return []
    whole = np.stack([box for box, _ in larger])
    heights = whole[:, 3] - whole[:, 1]
    remaining = []
    for one in sightings:
        inside = overlap(one.box[None], whole) >= PART_INSIDE * area(one.box)
        small = one.box[3] - one.box[1] < PART_HEIGHT * heights
        if not (inside & small).any():
            remaining.append(one)
    return remaining


def _thick(mask: NDArray[np.uint8]) -> bool:
    """Whether there is more than a neck between the head and the shoulders of a mask."""
    return neck(mask) > THICK_NECK + BLUR / max(len(mask), 1)


def _inside(box: Boxes, blob: Blob) -> bool:
    left, top, right, bottom = blob.box
    wide = min(right, box[2]) - max(left, box[0])
    high = min(bottom, box[3]) - max(top, box[1])
    size = max((box[2] - box[0]) * (box[3] - box[1]), 1.0)
    return bool(wide > 0 and high > 0 and wide * high >= INSIDE * size)
