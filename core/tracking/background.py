"""Persons before a standing camera: what differs from the empty scene, and what moves.

The empty scene is the median over the video. Somebody who comes straight towards the camera covers
the same pixels most of the time and becomes part of it; there, what differs from the moments
before and after shows the outlines, which is enough for a box.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import DataError
from core.tracking.tracks import Boxes

Image = NDArray[np.uint8]

# Frames are looked at with this many pixels along their longer side: enough for boxes.
WORKING_SIZE = 640
# Frames that the empty scene is learnt from; 60 of 640x360 take 41 MB.
SAMPLES = 60
# Frames before and after that a frame is compared with (at 25 a second).
MOMENTS = (2, 5, 8)
# Grey levels by which a person differs at least; and times the scene's own unrest.
LEAST_CONTRAST, UNREST = 14.0, 5.0
# What is left of the light in a shadow at least, and how alike it is in red, green and blue.
SHADOW_DARKEST, SHADOW_COLOUR = 0.5, 0.03
# A person's parts are joined over gaps of this share of the picture's height, upwards and sideways.
GAP_UP, GAP_ACROSS = 0.05, 0.012
# Shares of the picture's height, and of the own box's area, that make a person.
LEAST_HEIGHT, LEAST_FILLED = 0.08, 0.15
# Shares of a part's pixels that are no shadow at least, and of its height that make a person.
LEAST_LIT, MOSTLY = 0.25, 0.7
# Width over height of somebody who walks, with what is carried.
NARROWEST, WIDEST = 0.12, 1.3
# Where more than this share of the picture changes in most frames, it is the camera that moves.
UNSTEADY = 0.35


class Background:
    """A scene without its people.

    Args:
        frames: uint8 [H, W, 3] each, of one size, spread over the video.

    Raises:
        DataError: there are none.
    """

    def __init__(self, frames: Iterable[Image]) -> None:
        small = [_small(frame) for frame in frames]
        if not small:
            raise DataError(
                "No frame of the video can be decoded",
                next_step="Play the video elsewhere to see whether it is whole.",
            )
        samples = np.stack(small)
        self._scene = np.empty(samples.shape[1:], np.uint8)
        self._limit = np.empty(samples.shape[1:3], np.uint8)
        for row in range(0, samples.shape[1], 32):  # in strips: medians copy what they are of
            strip = samples[:, row : row + 32]
            middle = _median(strip)
            unrest = _median(cv2.absdiff(strip, np.broadcast_to(middle, strip.shape).copy()))
            self._scene[row : row + 32] = middle
            limit = np.maximum(LEAST_CONTRAST, UNREST * 1.48 * unrest.max(axis=-1))
            self._limit[row : row + 32] = np.minimum(limit, 254).astype(np.uint8)

    def people(self, frames: Iterable[tuple[int, Image]]) -> Iterator[tuple[int, Boxes]]:
        """Boxes of persons, frame by frame; few small frames are held at once.

        Args:
            frames: Numbers and frames uint8 [H, W, 3], all frames of a stretch in time order.

        Yields:
            The number and boxes float64 [n, 4] in pixels of the frame.

        Raises:
            DataError: most of the picture changes most of the time.
        """
        seen = unsteady = 0
        for number, scale, small, around in _with_neighbours(frames):
            exposed = self._exposed(small)
            mask = cv2.compare(_strongest(small, exposed), self._limit, cv2.CMP_GT)
            lit = _without_shadows(mask, small, exposed)
            for before, after in around:
                moves = _moves(small, before, after)
                mask |= moves
                lit |= _without_shadows(moves, small, cv2.max(before, after))
            seen, unsteady = seen + 1, unsteady + int(mask.mean() > 255 * UNSTEADY)
            yield number, person_boxes(cv2.medianBlur(mask, 3), cv2.medianBlur(lit, 3)) * scale
        if unsteady > seen / 2:
            raise DataError(
                "Most of the picture changes: the camera moves, or somebody fills all of it",
                next_step="Use a camera that stands still, or give --boxes or --detector.",
            )

    def _exposed(self, small: Image) -> Image:
        """The empty scene as bright as a frame: cameras change exposure when somebody comes in."""
        few, scene = small[::8, ::8].astype(np.float32), self._scene[::8, ::8]
        gain = np.median(few / np.maximum(scene, 8), axis=(0, 1))
        return np.asarray(cv2.multiply(self._scene, (*map(float, gain), 0.0)), np.uint8)


def _median(samples: Image) -> Image:
    middle = len(samples) // 2
    return np.asarray(np.partition(samples, middle, axis=0)[middle])


def _strongest(first: Image, second: Image) -> Image:
    """The difference of two images uint8 [h, w, 3] in the channel where it is largest."""
    red, green, blue = cv2.split(cv2.absdiff(first, second))
    return np.asarray(cv2.max(cv2.max(red, green), blue))


def _moves(now: Image, before: Image, after: Image) -> Image:
    """What differs from before and from after: where somebody is now, not where they were."""
    change = cv2.min(_strongest(now, before), _strongest(now, after))
    return np.asarray(cv2.threshold(change, LEAST_CONTRAST, 255, cv2.THRESH_BINARY)[1])


def _without_shadows(mask: Image, now: Image, scene: Image) -> Image:
    """The mask without what is the scene in less light: darker, and alike in all colours."""
    places = np.nonzero(mask)
    lit = np.maximum(scene[places], 1).astype(np.float32)
    share = now[places] / lit
    low, high = share.min(axis=1), share.max(axis=1)
    alike = high - low < SHADOW_COLOUR + 6.0 / np.maximum(lit.min(axis=1), 6)
    left = np.zeros_like(mask)
    left[places] = np.where((low > SHADOW_DARKEST) & (high < 1.0) & alike, 0, 255)
    return left


def _with_neighbours(
    frames: Iterable[tuple[int, Image]],
) -> Iterator[tuple[int, float, Image, list[tuple[Image, Image]]]]:
    """Number, scale, small frame, and the pairs of small frames around it at ``MOMENTS``."""
    reach = max(MOMENTS)
    held: deque[tuple[int, float, Image]] = deque(maxlen=2 * reach + 1)
    place = 0  # of the next frame to give out, in ``held``

    def given(place: int) -> tuple[int, float, Image, list[tuple[Image, Image]]]:
        number, scale, small = held[place]
        last = len(held) - 1
        around = [
            (held[max(0, place - step)][2], held[min(last, place + step)][2]) for step in MOMENTS
        ]
        return number, scale, small, around

    for number, frame in frames:
        place -= int(len(held) == held.maxlen)
        small = _small(frame)
        held.append((number, frame.shape[0] / small.shape[0], small))
        if len(held) > place + reach:
            yield given(place)
            place += 1
    while place < len(held):
        yield given(place)
        place += 1


def person_boxes(mask: Image, lit: Image) -> Boxes:
    """Boxes of the parts of a mask that have a person's shape.

    Args:
        mask: uint8 [h, w] of 0 and 255: all that differs.
        lit: The same without what may be shadow; a person in dark clothes may have holes in it, so
            it only says how far into a part the shadow reaches.

    Returns:
        float64 [n, 4].
    """
    found: list[tuple[float, float, float, float]] = []
    for part in _parts(mask):
        own = cv2.bitwise_and(lit, part)
        if cv2.countNonZero(own) < LEAST_LIT * cv2.countNonZero(part):
            own = part
        tall = cv2.boundingRect(own)[3]
        # Two people whose shadows touch are two where the shadows are left out.
        people = [one for one in _parts(own) if cv2.boundingRect(one)[3] >= MOSTLY * tall]
        for one in people or [own]:
            x, y, wide, high = cv2.boundingRect(one)
            filled = cv2.countNonZero(cv2.bitwise_and(mask, part)[y : y + high, x : x + wide])
            shaped = high >= LEAST_HEIGHT * len(mask) and NARROWEST <= wide / high <= WIDEST
            if shaped and filled >= LEAST_FILLED * wide * high:
                found.append((x, y, x + wide, y + high))
    return np.array(found, np.float64).reshape(-1, 4)


def _parts(mask: Image) -> list[Image]:
    """What belongs together in a mask, small gaps closed, as masks; nothing small."""
    height = len(mask)
    kernel = np.ones((_odd(GAP_UP * height), _odd(GAP_ACROSS * height)), np.uint8)
    joined = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, kernel)
    count, labels, parts, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    tall = [n for n in range(1, count) if parts[n, cv2.CC_STAT_HEIGHT] >= LEAST_HEIGHT * height]
    return [np.asarray(mask * (labels == n), np.uint8) for n in tall]


def _small(frame: Image) -> Image:
    height, width = frame.shape[:2]
    scale = WORKING_SIZE / max(height, width)
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        frame = np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)
    return np.asarray(cv2.GaussianBlur(frame, (3, 3), 0), np.uint8)


def _odd(length: float) -> int:
    return int(length) // 2 * 2 + 1
