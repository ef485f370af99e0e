"""EXIF's orientation mark: the turn of a picture before it is shown."""

from __future__ import annotations

import warnings

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

_TAG = 0x0112
UPRIGHT = 1
_QUARTER_TURNS = frozenset({5, 6, 7, 8})
# The side of the pictures that outlines are compared on.
_SIDE = 256


def orientation_mark(exif: bytes) -> int:
    """Orientation 1 to 8 of an EXIF block; 1 (as stored) where it has none, or a broken one."""
    if not exif:
        return UPRIGHT
    block = PillowImage.Exif()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            block.load(exif)
            mark = block.get(_TAG)
    except Exception:
        # Broken blocks end in nearly any exception; the picture itself is unaffected.
        return UPRIGHT
    return mark if isinstance(mark, int) and 1 <= mark <= 8 else UPRIGHT


def turned_shape(shape: tuple[int, ...], mark: int) -> tuple[int, int]:
    """(height, width) of a picture of ``shape`` [H, W, ...] once it is turned."""
    return (shape[1], shape[0]) if mark in _QUARTER_TURNS else (shape[0], shape[1])


def turn(image: NDArray[np.uint8], mark: int) -> NDArray[np.uint8]:
    """Turn and mirror an image [H, W] or [H, W, C] as its orientation mark says."""
    if mark == UPRIGHT:
        return image
    if mark in _QUARTER_TURNS:
        image = image.swapaxes(0, 1)
    # After the exchange of axes: 5 is done, 6 mirrors left and right, 8 up and down, 7 both.
    if mark in (2, 3, 6, 7):
        image = image[:, ::-1]
    if mark in (3, 4, 7, 8):
        image = image[::-1]
    return np.ascontiguousarray(image)


def outline_contrast(rgb: NDArray[np.uint8], mask: NDArray[np.uint8]) -> float:
    """Measure how well a silhouette's outline follows edges of its frame.

    Args:
        rgb: uint8 [H, W, 3].
        mask: uint8 [H, W] of 0 and 255, of any size with the frame's aspect ratio.

    Returns:
        Mean slope of grey along the outline by the mean slope anywhere; about 1 where the
        silhouette belongs to another picture, more where it fits, 0 without an outline.
    """
    scale = min(1.0, _SIDE / max(rgb.shape[:2]))
    size = (max(3, round(rgb.shape[1] * scale)), max(3, round(rgb.shape[0] * scale)))
    grey = cv2.resize(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA)
    across, down = (cv2.Sobel(grey, cv2.CV_32F, *axis) for axis in ((1, 0), (0, 1)))
    slope = np.hypot(across, down)
    shape = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST)
    kernel = np.ones((3, 3), np.uint8)
    outline = cv2.dilate(shape, kernel) != cv2.erode(shape, kernel)
    if not outline.any():
        return 0.0
    return float(slope[outline].mean() / max(float(slope.mean()), 1e-6))
