"""Parts of a picture that may be people: what belongs together in a mask.

Clothes of the background's colour break a person into pieces. Where it is known how high people are
at a place, pieces above each other are joined up to that height; else small gaps are closed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from core.tracking.background import Image, Scene
from core.tracking.ground import Ground

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
# In heights of a person: the largest gap over which pieces are joined, and the joined height.
LARGEST_GAP, TALLEST = 0.3, 1.12
# Pieces below this share of a person's height squared are noise.
NOISE = 0.004


@dataclass(frozen=True, slots=True)
class Blob:
    """What belongs together.

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


def find_blobs(scene: Scene, ground: Ground) -> list[Blob]:
    """Everything in a frame that is large enough to be (part of) a person."""
    height = len(scene.mask)
    if not ground.known:
        gaps = (GAP_UP * height, GAP_ACROSS * height)
        blobs = list(_pieces(scene, gaps, LEAST_HEIGHT * height))
    else:
        gaps = (NEAR_UP * ground.smallest, NEAR_ACROSS * ground.smallest)
        blobs = [
            blob
            for blob in _pieces(scene, gaps, 3)
            if cv2.countNonZero(blob.mask) > NOISE * ground.height(blob.box[3]) ** 2
        ]
        blobs = _joined(blobs, ground)
    return blobs


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
    """Left, top and mask of what belongs together in a mask, small gaps closed."""
    kernel = np.ones((_odd(gaps[0]), _odd(gaps[1])), np.uint8)
    joined = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, kernel)
    count, labels, parts, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    for number in range(1, count):
        x, y, wide, high = (int(value) for value in parts[number, :4])
        if high >= least:
            here = (slice(y, y + high), slice(x, x + wide))
            yield x, y, np.asarray(mask[here] * (labels[here] == number), np.uint8)


def _joined(blobs: list[Blob], ground: Ground) -> list[Blob]:
    """Pieces above each other put together, as far as a person reaches."""
    blobs = sorted(blobs, key=lambda blob: -blob.box[3])  # from the feet up
    done: list[Blob] = []
    while blobs:
        low = blobs.pop(0)
        expected = ground.height(low.box[3])
        while low.height < MOSTLY * expected:
            above = [
                (gap, number)
                for number, high in enumerate(blobs)
                if (gap := _gap(high, low, expected)) is not None
            ]
            if not above:
                break
            low = _together(low, blobs.pop(min(above)[1]))
        done.append(low)
    return done


def _gap(high: Blob, low: Blob, expected: float) -> float | None:
    """Rows between two pieces that may be one person's; None where they may not."""
    left, top, right, bottom = high.box
    shared = min(right, low.box[2]) - max(left, low.box[0])
    gap = low.box[1] - bottom
    wide = max(right, low.box[2]) - min(left, low.box[0])
    tall = max(bottom, low.box[3]) - min(top, low.box[1])
    near = shared >= 0.4 * min(high.width, low.width) and gap <= LARGEST_GAP * expected
    fits = tall <= TALLEST * expected and wide <= WIDEST / 2 * expected
    return float(gap) if near and fits else None


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
