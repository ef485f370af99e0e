"""Background subtraction for a static camera, and motion between frames.

The empty scene is the most frequent value of each pixel. A person who walks straight towards the
camera covers the same pixels most of the time and becomes part of it; there, what differs from the
frames before and after shows the outlines, which is enough for a box.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import DataError

Image = NDArray[np.uint8]

# Frames are analysed with this many pixels along their longer side: enough for boxes.
WORKING_SIZE = 640
# Frames that the empty scene is estimated from; 60 of 640x360 take 41 MB.
SAMPLES = 60
# Seconds before and after that a frame is compared with.
MOMENTS = (0.08, 0.2, 0.32)
# Grey levels by which a person differs at least; and times the scene's own unrest.
LEAST_CONTRAST, UNREST = 14.0, 5.0
# Least light that remains in a shadow, and how alike it is in red, green and blue.
SHADOW_DARKEST, SHADOW_COLOUR = 0.5, 0.03
# Where more than this share of the picture changes in most frames, it is the camera that moves.
UNSTEADY = 0.35
# Share of the samples that agree best, whose middle is the empty scene: a street may be empty at a
# place for less than half of the time.
AGREEING = 0.3


@dataclass(frozen=True, slots=True)
class Scene:
    """A frame with its foreground.

    Attributes:
        number: The frame's.
        scale: Pixels of the frame for each pixel of the small one.
        small: uint8 [h, w, 3], the frame reduced to the working size.
        mask: uint8 [h, w] of 0 and 255, the foreground.
        lit: The same without possible shadows.
    """

    number: int
    scale: float
    small: Image
    mask: Image
    lit: Image


class Background:
    """A scene without its people.

    Args:
        frames: uint8 [H, W, 3] each, of one size, spread over the video.

    Raises:
        DataError: no frame can be decoded.
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
            middle = _most_often(strip)
            unrest = _median(cv2.absdiff(strip, np.broadcast_to(middle, strip.shape).copy()))
            self._scene[row : row + 32] = middle
            limit = np.maximum(LEAST_CONTRAST, UNREST * 1.48 * unrest.max(axis=-1))
            self._limit[row : row + 32] = np.minimum(limit, 254).astype(np.uint8)
        self._samples = small

    def examples(self, *, moving: bool) -> Iterator[Scene]:
        """Frames that the scene was estimated from, with their foreground.

        Args:
            moving: Whether motion between neighbouring examples counts too.
        """
        step, last = len(self._samples) // 20 + 1, len(self._samples) - 1
        for place, small in enumerate(self._samples):
            mask, lit = self._differs(small)
            if moving:
                before = self._samples[max(0, place - step)]
                after = self._samples[min(last, place + step)]
                _add_moves(mask, lit, small, before, after)
            yield Scene(-1, 1.0, small, cv2.medianBlur(mask, 3), cv2.medianBlur(lit, 3))

    def forget_examples(self) -> None:
        """Free the memory of the frames that the scene was estimated from."""
        self._samples = []

    def scenes(self, frames: Iterable[tuple[int, Image]], rate: float) -> Iterator[Scene]:
        """Foreground of each frame; few small frames are in memory at once.

        Args:
            frames: Numbers and frames uint8 [H, W, 3], all frames of a stretch in time order.
            rate: Frames a second.

        Raises:
            DataError: most of the picture changes most of the time.
        """
        total = unstable = 0
        steps = sorted({max(1, round(moment * rate)) for moment in MOMENTS})
        for number, scale, small, around in _with_neighbours(frames, steps):
            mask, lit = self._differs(small)
            for before, after in around:
                _add_moves(mask, lit, small, before, after)
            total, unstable = total + 1, unstable + int(mask.mean() > 255 * UNSTEADY)
            yield Scene(number, scale, small, cv2.medianBlur(mask, 3), cv2.medianBlur(lit, 3))
        if unstable > total / 2:
            raise DataError(
                "Most of the picture changes: the camera moves, or a person fills all of it",
                next_step="Use a camera that stands still, or use --boxes or --detector.",
            )

    def _differs(self, small: Image) -> tuple[Image, Image]:
        exposed = self._exposed(small)
        mask = np.asarray(cv2.compare(_strongest(small, exposed), self._limit, cv2.CMP_GT))
        return mask, _without_shadows(mask, small, exposed)

    def _exposed(self, small: Image) -> Image:
        """The empty scene as bright as a frame: cameras change exposure when somebody comes in."""
        sample, scene = small[::8, ::8].astype(np.float32), self._scene[::8, ::8]
        gain = np.median(sample / np.maximum(scene, 8), axis=(0, 1))
        return np.asarray(cv2.multiply(self._scene, (*map(float, gain), 0.0)), np.uint8)


def _median(samples: Image) -> Image:
    middle = len(samples) // 2
    return np.asarray(np.partition(samples, middle, axis=0)[middle])


def _most_often(samples: Image) -> Image:
    """The middle of the samples [n, ...] that are nearest to each other, for each value."""
    count = max(1, round(AGREEING * len(samples)))
    ordered = np.sort(samples, axis=0)
    spread = ordered[count - 1 :] - ordered[: len(ordered) - count + 1]
    first = spread.argmin(axis=0)
    return np.asarray(np.take_along_axis(ordered, (first + count // 2)[None], axis=0)[0])


def _strongest(first: Image, second: Image) -> Image:
    """The difference of two images uint8 [h, w, 3] in the channel where it is largest."""
    red, green, blue = cv2.split(cv2.absdiff(first, second))
    return np.asarray(cv2.max(cv2.max(red, green), blue))


def _moves(now: Image, before: Image, after: Image) -> Image:
    """Pixels that differ from before and from after: a person's present place only."""
    change = cv2.min(_strongest(now, before), _strongest(now, after))
    return np.asarray(cv2.threshold(change, LEAST_CONTRAST, 255, cv2.THRESH_BINARY)[1])


def _add_moves(mask: Image, lit: Image, now: Image, before: Image, after: Image) -> None:
    """Add the differences from two other frames to a mask and to the mask without shadows."""
    moves = _moves(now, before, after)
    mask |= moves
    lit |= _without_shadows(moves, now, np.asarray(cv2.max(before, after), np.uint8))


def _without_shadows(mask: Image, now: Image, scene: Image) -> Image:
    """Remove shadows from the mask: the scene in less light, darker alike in all colours."""
    places = np.nonzero(mask)
    lit = np.maximum(scene[places], 1).astype(np.float32)
    share = (now[places] / lit).astype(np.float32)
    low, high = _least(share), -_least(-share)
    alike = high - low < SHADOW_COLOUR + 6.0 / np.maximum(_least(lit), 6)
    remaining = np.zeros_like(mask)
    remaining[places] = np.where((low > SHADOW_DARKEST) & (high < 1.0) & alike, 0, 255)
    return remaining


def _least(colours: NDArray[np.float32]) -> NDArray[np.float32]:
    """The least of three values each, [n, 3] -> [n]; faster than along the axis."""
    return np.minimum(np.minimum(colours[:, 0], colours[:, 1]), colours[:, 2])


def _with_neighbours(
    frames: Iterable[tuple[int, Image]], steps: list[int]
) -> Iterator[tuple[int, float, Image, list[tuple[Image, Image]]]]:
    """Number, scale, small frame, and the pairs of small frames so many steps around it."""
    reach = max(steps)
    window: deque[tuple[int, float, Image]] = deque(maxlen=2 * reach + 1)
    place = 0  # of the next frame to give out, in ``window``

    def item(place: int) -> tuple[int, float, Image, list[tuple[Image, Image]]]:
        number, scale, small = window[place]
        last = len(window) - 1
        around = [
            (window[max(0, place - step)][2], window[min(last, place + step)][2]) for step in steps
        ]
        return number, scale, small, around

    for number, frame in frames:
        place -= int(len(window) == window.maxlen)
        small = _small(frame)
        window.append((number, frame.shape[0] / small.shape[0], small))
        if len(window) > place + reach:
            yield item(place)
            place += 1
    while place < len(window):
        yield item(place)
        place += 1


def _small(frame: Image) -> Image:
    height, width = frame.shape[:2]
    scale = WORKING_SIZE / max(height, width)
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        frame = np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)
    return np.asarray(cv2.GaussianBlur(frame, (3, 3), 0), np.uint8)
