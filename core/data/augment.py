"""Augmentations of silhouettes and of other small images of gait, one draw for a whole clip.

A clip may have several inputs (silhouettes, skeleton maps, parsing): all of them are changed alike,
by one :class:`Draw`. All frames of a clip are changed alike too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.inputs import ClipInput, LabelInput, MapInput, MaskedFrameInput, SilhouetteInput

Clip = NDArray[np.uint8]
Draws = Sequence[float] | NDArray[np.float64]

# Columns that pre-processing puts beside a person, of 64: they are cut off, and corners move in
# them.
SIDE, SIDE_OF = 10, 64
MAX_DEGREES = 10.0
ERASED_AREA, ERASED_ASPECT = (0.05, 0.2), (0.3, 3.3)
DRAWS = 13


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Probability of each change of a clip, 0 to 1.

    Attributes:
        perspective: As if seen from another height or angle.
        flip: Mirrored.
        rotate: Turned by up to 10 degrees to either side.
        erase: A rectangle of 5 to 20 % of the image blackened in all frames.
        swapped_centre: Turn about the point (height / 2, width / 2), as OpenGait does, where
            (width / 2, height / 2), the middle of the image, is meant.
    """

    perspective: float = 0.0
    flip: float = 0.0
    rotate: float = 0.0
    erase: float = 0.0
    swapped_centre: bool = False

    @classmethod
    def of(cls, settings: ClipInput, flip: float) -> Augmentation:
        """Those that a family's settings name; of models on poses none."""
        if isinstance(settings, MaskedFrameInput):
            return cls(flip=flip)
        if not isinstance(settings, SilhouetteInput | MapInput | LabelInput):
            return cls()
        return cls(
            perspective=settings.perspective,
            flip=flip,
            rotate=settings.rotate,
            erase=settings.erase,
        )


@dataclass(frozen=True, slots=True)
class Draw:
    """Changes of one clip; draws in [0, 1) where a change has a measure.

    Attributes:
        corners: Top left, top right, bottom left, bottom right: how far into the sides; None: as
            it is.
        flip: Whether it is mirrored.
        degrees: By how much it is turned, counter-clockwise.
        swapped_centre: See :class:`Augmentation`.
        rectangle: Area, aspect, top and left of the rectangle; None: no rectangle.
    """

    corners: tuple[float, ...] | None = None
    flip: bool = False
    degrees: float | None = None
    swapped_centre: bool = False
    rectangle: tuple[float, ...] | None = None


def draw(settings: Augmentation, draws: Draws) -> Draw:
    """Draw the changes of a clip.

    Args:
        settings: How likely each change is.
        draws: 13 numbers in [0, 1): four for whether, in the order of ``settings``, four for the
            corners, one for the angle, four for the rectangle. A change uses its own only, so that
            settings do not change each other's results.
    """
    values = [float(value) for value in draws]
    if len(values) != DRAWS:
        raise ValueError(f"{len(values)} draws, not {DRAWS}")
    return Draw(
        corners=tuple(values[4:8]) if values[0] < settings.perspective else None,
        flip=values[1] < settings.flip,
        degrees=(2 * values[8] - 1) * MAX_DEGREES if values[2] < settings.rotate else None,
        swapped_centre=settings.swapped_centre,
        rectangle=tuple(values[9:13]) if values[3] < settings.erase else None,
    )


def augment(clip: Clip, what: Draw, *, nearest: bool = False) -> Clip:
    """Change a clip and cut its sides: perspective, cut, mirror, turn, erase, in this order.

    Args:
        clip: uint8 [T, H, W] or [T, C, H, W], whole as stored: the sides are cut here.
        what: The same for all inputs of a clip.
        nearest: Take the nearest pixel in place of mixing four: for labels. Mirroring does not swap
            labels of left and right; the caller does.

    Returns:
        uint8 of the same number of axes, W less the sides where H = W.
    """
    flat = clip.reshape(-1, *clip.shape[-2:])
    if what.corners is not None:
        flat = perspective(flat, what.corners, nearest=nearest)
    flat = cut_sides(flat)
    if what.flip:
        flat = flat[..., ::-1]
    if what.degrees is not None:
        flat = rotate(flat, what.degrees, swapped_centre=what.swapped_centre, nearest=nearest)
    if what.rectangle is not None:
        flat = erase(flat, what.rectangle)
    return np.ascontiguousarray(flat).reshape(*clip.shape[:-2], *flat.shape[-2:])


def perspective(images: Clip, corners: Draws, *, nearest: bool = False) -> Clip:
    """Stretch the quadrilateral between four corners over the whole image.

    Args:
        images: uint8 [n, H, W].
        corners: Draws in [0, 1) for top left, top right, bottom left, bottom right. The left ones
            lie in columns 0 to 9, the right ones in columns W - 10 to W - 1 (of 128: twice that).
        nearest: See :func:`augment`.
    """
    height, width = images.shape[-2:]
    side = SIDE * max(1, width // SIDE_OF)
    top_left, top_right, bottom_left, bottom_right = (int(value * side) for value in corners)
    right = width - side
    source = [
        (top_left, 0),
        (right + top_right, 0),
        (right + bottom_right, height),
        (bottom_left, height),
    ]
    target = [(0, 0), (width, 0), (width, height), (0, height)]
    matrix = cv2.getPerspectiveTransform(np.array(source, np.float32), np.array(target, np.float32))
    flags = cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR
    out = np.empty(images.shape, np.uint8)
    for image, place in zip(images, out, strict=True):
        cv2.warpPerspective(image, matrix, (width, height), dst=place, flags=flags)
    return out


def rotate(
    images: Clip, degrees: float, *, swapped_centre: bool = False, nearest: bool = False
) -> Clip:
    """Turn images uint8 [n, H, W] counter-clockwise about their middle; the rest is black."""
    height, width = images.shape[-2:]
    centre = (height / 2, width / 2) if swapped_centre else (width / 2, height / 2)
    matrix = cv2.getRotationMatrix2D(centre, degrees, 1.0)
    flags = cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR
    out = np.empty(images.shape, np.uint8)
    for image, place in zip(np.ascontiguousarray(images), out, strict=True):
        cv2.warpAffine(image, matrix, (width, height), dst=place, flags=flags)
    return out


def erase(images: Clip, draws: Draws) -> Clip:
    """Blacken one rectangle in all images.

    Args:
        images: uint8 [n, H, W].
        draws: Draws in [0, 1) for its share of the area (5 to 20 %), its height / width (0.3 to
            3.3), and where its top and its left side are.
    """
    height, width = images.shape[-2:]
    area, aspect, top, left = (float(value) for value in draws)
    area = height * width * (ERASED_AREA[0] + area * (ERASED_AREA[1] - ERASED_AREA[0]))
    aspect = ERASED_ASPECT[0] + aspect * (ERASED_ASPECT[1] - ERASED_ASPECT[0])
    rows = min(height, round((area * aspect) ** 0.5))
    columns = min(width, round((area / aspect) ** 0.5))
    row, column = int(top * (height - rows + 1)), int(left * (width - columns + 1))
    out = images.copy()
    out[:, row : row + rows, column : column + columns] = 0
    return out


def cut_sides(images: Clip) -> Clip:
    """Cut 10 of 64 columns off each side of square images [..., H, W]: 64 to 44, 128 to 88.

    Images that are not square were delivered without sides (64 x 44), and stay.
    """
    side = side_columns(images.shape[-2], images.shape[-1])
    return images[..., side : images.shape[-1] - side]


def side_columns(height: int, width: int) -> int:
    """Columns that are cut off each side of an image."""
    return SIDE * (width // SIDE_OF) if height == width else 0


def network_input(images: Tensor) -> Tensor:
    """Input of a silhouette network from images on its device.

    Args:
        images: uint8 [..., H, W], with their sides or without.

    Returns:
        float32 [..., H, W less the sides where H = W], from 0 to 1.
    """
    side = side_columns(images.shape[-2], images.shape[-1])
    return images[..., side : images.shape[-1] - side].to(torch.float32) / 255
