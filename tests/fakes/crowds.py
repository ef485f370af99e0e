"""People of a crowd, as far as tests of finding and following them need any."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.tracking.looks import Look, look_of
from core.tracking.tracks import Boxes
from core.tracking.ways import Way, step_of

Colour = tuple[int, int, int]
# Neck, trunk and legs: left, right, upper and lower end, in heights.
_LIMBS = (
    (-0.03, 0.03, 0.1, 0.2),
    (-0.12, 0.12, 0.17, 0.52),
    (-0.11, -0.02, 0.5, 1),
    (0.02, 0.11, 0.5, 1),
)
RED, BLUE, GREEN = (180, 40, 40), (40, 40, 160), (30, 150, 60)


def boxes_at(xs: ArrayLike, tall: float = 100.0, foot: float = 200.0) -> Boxes:
    """Boxes [n, 4] of somebody at these columns."""
    x = np.asarray(xs, np.float64)
    return np.stack([x - tall / 6, x * 0 + foot - tall, x + tall / 6, x * 0 + foot], axis=1)


def look(colour: Colour) -> Look:
    """Clothes of one colour."""
    return look_of(
        np.full((40, 20, 3), colour, np.uint8), (0, 0, 20, 40), np.ones((40, 20), np.uint8)
    )


def way(
    frames: Sequence[int],
    xs: ArrayLike,
    colours: Sequence[Colour],
    rate: float = 25.0,
    legs: ArrayLike = 0.15,
) -> Way:
    """Somebody at ``xs`` whose clothes in each frame have a colour of the list."""
    steps = {step_of(frame, rate): colour for frame, colour in zip(frames, colours, strict=True)}
    looks = {step: look(colour) for step, colour in steps.items()}
    none = np.zeros(len(frames), np.bool_)
    breadths = np.full(len(frames), legs, np.float64)
    return Way(np.array(frames), boxes_at(xs), none, none, breadths, looks)


def silhouette(
    height: int, *middles: int, size: tuple[int, int] = (240, 320), foot: int = 220
) -> NDArray[np.uint8]:
    """Masks of people who stand: a head, a trunk and two legs."""
    mask: NDArray[np.uint8] = np.zeros(size, np.uint8)
    for x in middles:
        top = foot - height
        cv2.circle(mask, (x, top + round(0.06 * height)), round(0.06 * height), 255, -1)
        for left, right, high, low in _LIMBS:
            corner = (round(x + left * height), round(top + high * height))
            cv2.rectangle(
                mask, corner, (round(x + right * height), round(top + low * height)), 255, -1
            )
    return mask


def strider(
    mask: NDArray[np.uint8], height: int, x: float, seconds: float, *, foot: int = 220
) -> None:
    """Put somebody into a mask who walks there, seen from the side: a step in half a second."""
    top, swing = foot - height, 0.17 * height * np.cos(2 * np.pi * seconds)
    cv2.circle(mask, (round(x), top + round(0.06 * height)), round(0.06 * height), 255, -1)
    for left, right, high, low in ((-0.03, 0.03, 0.1, 0.2), (-0.09, 0.09, 0.17, 0.52)):
        first = (round(x + left * height), round(top + high * height))
        last = (round(x + right * height), round(top + low * height))
        cv2.rectangle(mask, first, last, 255, -1)
    hip = (round(x), top + round(0.5 * height))
    for ankle in (x - swing, x + swing):
        cv2.line(mask, hip, (round(ankle), foot - 4), 255, round(0.11 * height))
