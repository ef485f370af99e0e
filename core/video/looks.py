"""Classify one picture as silhouette, cut-out or photograph."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from core.video.levels import smeared_labels
from core.video.pictures import Picture, Pixels, alpha_varies, edge_pixels, thinned

# A photograph has more colours than a drawing of labels.
FEW_COLOURS = 32
# Share of a drawing that has the colour of all its neighbours.
FLAT = 0.5
# So much of a silhouette has one of its two values, and so much of the ground exactly one value.
TWO_SIDED = 0.88
EXACT = 0.5
# The same of a soft one, in which so much of one of the two differs by little.
SOFT_SIDED = 0.6
EVEN, _EVEN_RANGE = 0.7, 8
# Values this far apart, as a share of the distance between the two, are the same.
_NEAR = 0.15
# So much of the foreground of a coloured silhouette has its colour, this far from it.
_SAME_COLOUR, _COLOUR_RANGE = 0.75, 48
# Labels are darker than anything, and compression smears them over half of their range.
_DARK = 31
_BLACK = 6
_LABELLED = 0.8


class Look(IntEnum):
    """Kind of a picture, from RGB frames to silhouettes."""

    PHOTO = 0
    # A photograph of which all but the person is transparent: a frame, or a silhouette.
    CUTOUT = 1
    # Two tones nearly everywhere, with soft edges or noise: a silhouette, or a foggy frame.
    SOFT = 2
    # Few colours, on a ground of another colour than black or white.
    FLAT = 3
    SILHOUETTE = 4


def look_at(picture: Picture) -> Look:
    """Classify a picture.

    Args:
        picture: Decoded as a silhouette.
    """
    pixels = _bytes(thinned(picture.pixels))
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        alpha = pixels[..., 3]
        pixels = pixels[..., :3]
        if alpha_varies(alpha):
            opaque = pixels[alpha > alpha.max() // 2]
            return Look.SILHOUETTE if _colours(opaque) <= FEW_COLOURS else Look.CUTOUT
    colours = _colours(pixels.reshape(-1, *pixels.shape[2:]))
    edge = edge_pixels(pixels)
    ground = np.median(edge.reshape(len(edge), -1), axis=0)
    extreme = bool((ground == 0).all() or (ground == 255).all())
    if colours == 1:
        return Look.SILHOUETTE if extreme else Look.PHOTO
    if not picture.lossy and (colours == 2 or (colours <= FEW_COLOURS and _flat(pixels) > FLAT)):
        sure = extreme or colours == 2 or picture.ground is not None
        return Look.SILHOUETTE if sure else Look.FLAT
    return _drawn(pixels, ground)


def _bytes(pixels: Pixels) -> NDArray[np.uint8]:
    if pixels.dtype == np.uint8:
        return np.asarray(pixels, np.uint8)
    top = max(255, int(pixels.max()))
    return np.asarray((pixels.astype(np.uint32) * 255 + top - 1) // top, np.uint8)


def _flat(pixels: NDArray[np.uint8]) -> float:
    kernel = np.ones((3, 3), np.uint8)
    flat = cv2.dilate(pixels, kernel) == cv2.erode(pixels, kernel)
    return float((flat if flat.ndim == 2 else flat.all(axis=2)).mean())


def _colours(pixels: NDArray[np.uint8]) -> int:
    """Number of distinct values or colours of pixels [n] or [n, 3]."""
    if pixels.ndim == 1:
        return len(np.unique(pixels))
    weights = np.array([1, 256, 65_536], np.uint32)
    return len(np.unique(pixels.astype(np.uint32) @ weights))


def _drawn(pixels: NDArray[np.uint8], ground: NDArray[np.floating[Any]]) -> Look:
    """Classify a picture of many values by the share of its two, or few, dominant ones."""
    distance = np.abs(pixels.astype(np.int16) - ground.astype(np.int16))
    plane = (distance if distance.ndim == 2 else distance.max(axis=2)).astype(np.uint8)
    level = float(np.median(plane[plane > plane.max() // 2]))
    if pixels.ndim == 3:
        person = pixels[plane > level / 2]
        near = np.abs(person - np.median(person, axis=0)).max(axis=1) <= _COLOUR_RANGE
        if near.mean() < _SAME_COLOUR:
            return Look.PHOTO
    low, high = plane <= level * _NEAR, plane >= level * (1 - _NEAR)
    sided = float((low | high).mean())
    if (ground <= _BLACK).all() or (ground >= 255 - _BLACK).all():
        exact = float((plane[low] == 0).mean())
        if exact >= EXACT and (sided >= TWO_SIDED or level <= _DARK or _is_labelled(plane)):
            return Look.SILHOUETTE
    even = max(_even(plane[low]), _even(plane[high]))
    return Look.SOFT if sided >= SOFT_SIDED and even >= EVEN else Look.PHOTO


def _is_labelled(plane: NDArray[np.uint8]) -> bool:
    peaks = [0, *smeared_labels([plane])]
    near_peak = np.zeros(256, np.bool_)
    for peak in peaks:
        near_peak[max(0, peak - 6) : peak + 7] = True
    return len(peaks) > 2 and bool(near_peak[plane].mean() >= _LABELLED)


def _even(values: NDArray[np.uint8]) -> float:
    """Share of values near their median."""
    near = np.abs(values.astype(np.int16) - np.median(values)) if values.size else np.ones(1)
    return float((near <= _EVEN_RANGE).mean())
