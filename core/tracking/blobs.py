"""Connected parts of a mask that may be people.

Clothes of the background's colour break a person into pieces. Where the height of people is known
at a place, pieces above each other are joined up to that height; else small gaps are closed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from core.tracking.background import Image, Scene
from core.tracking.ground import Ground
from core.tracking.tracks import Boxes

# Gaps that are closed upwards and sideways: shares of the picture's height, or of a person's.
GAP_UP, GAP_ACROSS = 0.05, 0.012
NEAR_UP, NEAR_ACROSS = 0.12, 0.03
# Shares of the picture's height, and of the own box's area, that make a person.
LEAST_HEIGHT, LEAST_FILLED = 0.06, 0.15
# Width over height of somebody who walks, with what is carried.
NARROWEST, WIDEST = 0.12, 1.3
# Share of a part's pixels that are not shadow, below which all of it counts.
LEAST_LIT = 0.25
# Share of a part's height that a piece of it has when it is a person of its own.
MOSTLY = 0.7
# In heights of a person: what is whole by itself, the joined height, and the half width in which
# pieces are one person's.
COMPLETE, TALLEST, HALF_WIDE = 0.85, 1.12, 0.32
# Width over height below which a blob is one person, whose outline alone may be seen; and gaps that
# are closed in it, in heights.
FILLED, OUTLINE = 0.65, 0.05
# Share of a piece that has to be there, or where somebody is expected; and share of its box inside
# another's from which even pieces that might be whole are one.
MOST_OF_IT, INTERLOCKED = 0.6, 0.3
# Pieces below this share of a person's height squared are noise.
NOISE = 0.004


@dataclass(frozen=True, slots=True, eq=False)
class Blob:
    """A connected part of a mask.

    Attributes:
        left: Column of its left edge, in pixels of the small frame.
        top: Row of its upper edge.
        mask: uint8 [h, w] of 0 and 255 from there; shadows left out.
        filled: How many pixels of the box differ, shadows included.
    """

    left: int
    top: int
    mask: Image
    filled: int

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom; ends out."""
        height, width = self.mask.shape
        return self.left, self.top, self.left + width, self.top + height

    @property
    def height(self) -> int:
        """Rows of its box."""
        return int(self.mask.shape[0])

    @property
    def width(self) -> int:
        """Columns of its box."""
        return int(self.mask.shape[1])

    @property
    def shaped(self) -> bool:
        """Whether it is as wide and as full as somebody who walks."""
        wide = NARROWEST <= self.width / self.height <= WIDEST
        return wide and self.filled >= LEAST_FILLED * self.width * self.height


def find_blobs(scene: Scene, ground: Ground, expected: Sequence[Boxes] = ()) -> list[Blob]:
    """Blobs of a frame that are large enough to be (part of) a person.

    Args:
        scene: The frame.
        ground: Height of people in it.
        expected: Boxes float64 [4] of expected people, in pixels of the small frame.
    """
    height = len(scene.mask)
    if not ground.known:
        gaps = (GAP_UP * height, GAP_ACROSS * height)
        blobs = list(_pieces(scene, gaps, LEAST_HEIGHT * height))
    else:
        gaps = (NEAR_UP * ground.usual, NEAR_ACROSS * ground.usual)
        blobs = [
            blob
            for blob in _pieces(scene, gaps, 3)
            if cv2.countNonZero(blob.mask) > NOISE * ground.height(blob.box[3]) ** 2
        ]
        blobs = _joined(blobs, ground)
    blobs = _gathered(blobs, expected)
    return [_filled(blob) if blob.width < FILLED * blob.height else blob for blob in blobs]


def _pieces(scene: Scene, gaps: tuple[float, float], least: float) -> Iterator[Blob]:
    """Parts of the mask; two people whose shadows touch are two where shadows are left out."""
    for left, top, part in _parts(scene.mask, gaps, least):
        rows, columns = slice(top, top + len(part)), slice(left, left + part.shape[1])
        own = cv2.bitwise_and(scene.lit[rows, columns], part)
        if cv2.countNonZero(own) < LEAST_LIT * cv2.countNonZero(part):
            own = part
        tall = cv2.boundingRect(own)[3]
        inner = [p for p in _parts(np.asarray(own), gaps, least) if len(p[2]) >= MOSTLY * tall]
        if len(inner) < 2:
            x, y, wide, high = cv2.boundingRect(own)
            inner = [(x, y, np.asarray(own[y : y + high, x : x + wide]))]
        for x, y, mask in inner:
            high, wide = mask.shape
            if high >= least:
                filled = cv2.countNonZero(part[y : y + high, x : x + wide])
                yield Blob(left + x, top + y, np.ascontiguousarray(mask), filled)


def _parts(
    mask: Image, gaps: tuple[float, float], least: float
) -> Iterator[tuple[int, int, Image]]:
    """Left, top and mask of each connected part, small gaps closed."""
    kernel = np.ones((_odd(gaps[0]), _odd(gaps[1])), np.uint8)
    joined = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, kernel)
    count, labels, parts, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    for number in range(1, count):
        x, y, wide, high = (int(value) for value in parts[number, :4])
        if high >= least:
            region = (slice(y, y + high), slice(x, x + wide))
            yield x, y, np.asarray(mask[region] * (labels[region] == number), np.uint8)


def _joined(blobs: list[Blob], ground: Ground) -> list[Blob]:
    """Join pieces that are not a whole person, up to the height of a person who stands there."""
    blobs = sorted(blobs, key=lambda blob: -blob.box[3])  # from the feet up
    joined: list[Blob] = []
    while blobs:
        low = blobs.pop(0)
        tall = ground.height(low.box[3])
        if low.height < COMPLETE * tall and low.width < 2 * HALF_WIDE * tall:
            middle, foot = low.left + low.width / 2, low.box[3]
            reach = HALF_WIDE * tall
            region = (middle - reach, foot - TALLEST * tall, middle + reach, foot)
            parts = [
                blob
                for blob in blobs
                if _share_in(blob, region) >= MOST_OF_IT
                and (
                    blob.height < COMPLETE * ground.height(blob.box[3])
                    or max(_share_in(blob, low.box), _share_in(low, blob.box)) >= INTERLOCKED
                )
            ]
            blobs = [blob for blob in blobs if blob not in parts]
            for part in parts:
                low = _together(low, part)
        joined.append(low)
    return joined


def _gathered(blobs: list[Blob], expected: Sequence[Boxes]) -> list[Blob]:
    """Join the pieces where one person is expected."""
    for box in expected:
        tall = box[3] - box[1]
        region = (
            box[0] - 0.05 * tall,
            box[1] - 0.1 * tall,
            box[2] + 0.05 * tall,
            box[3] + 0.1 * tall,
        )
        parts = [blob for blob in blobs if _share_in(blob, region) >= MOST_OF_IT]
        if len(parts) > 1 and not any(_fills(part, box) for part in parts):
            blobs = [blob for blob in blobs if blob not in parts]
            union = parts[0]
            for part in parts[1:]:
                union = _together(union, part)
            blobs.append(union)
    return blobs


def _fills(blob: Blob, box: Boxes) -> bool:
    """Whether a piece alone is as high and wide as the person expected there."""
    wide, tall = box[2] - box[0], box[3] - box[1]
    return bool(blob.height >= COMPLETE * tall and blob.width >= MOST_OF_IT * wide)


def _share_in(blob: Blob, region: tuple[float, float, float, float]) -> float:
    """Share of a blob's box that is inside another box."""
    left, top, right, bottom = blob.box
    wide = max(0.0, min(right, region[2]) - max(left, region[0]))
    high = max(0.0, min(bottom, region[3]) - max(top, region[1]))
    return wide * high / (blob.width * blob.height)


def _filled(blob: Blob) -> Blob:
    """Fill the blob's holes: clothes of the background's colour leave the outline."""
    margin = max(1, round(OUTLINE * blob.height))
    kernel = np.ones((2 * margin + 1, margin // 2 * 2 + 1), np.uint8)
    closed = cv2.morphologyEx(np.pad(blob.mask, margin), cv2.MORPH_CLOSE, kernel)
    outer, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    solid = cv2.drawContours(closed, outer, -1, 255, cv2.FILLED)
    inner = np.ascontiguousarray(solid[margin:-margin, margin:-margin])
    return replace(blob, mask=inner, filled=max(blob.filled, cv2.countNonZero(inner)))


def _together(first: Blob, second: Blob) -> Blob:
    left, top = min(first.left, second.left), min(first.top, second.top)
    right, bottom = (max(first.box[n], second.box[n]) for n in (2, 3))
    mask: NDArray[np.uint8] = np.zeros((bottom - top, right - left), np.uint8)
    for blob in (first, second):
        x, y = blob.left - left, blob.top - top
        mask[y : y + blob.height, x : x + blob.width] |= blob.mask
    return Blob(left, top, mask, first.filled + second.filled)


def _odd(length: float) -> int:
    return int(length) // 2 * 2 + 1
