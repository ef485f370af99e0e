"""Silhouettes scaled to their own height and centred on their mass, as gait models read them.

Silhouette models are trained on squares of 64 or 128 pixels that hold the person from the top to
the bottom row, with as much foreground to the left of the middle as to its right.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from core.records import Interpolation

CutSize = Literal[64, 128]
SIZES: tuple[CutSize, ...] = get_args(CutSize)

# How an image is resized; labels take the nearest pixel, for there is nothing between two of them:
# by corners, as is common, or by centres, so that they lie where interpolated images do.
Method = Interpolation | Literal["nearest", "nearest centre"]
_METHODS: dict[Method, int] = {
    "bicubic": cv2.INTER_CUBIC,
    "area": cv2.INTER_AREA,
    "nearest": cv2.INTER_NEAREST,
    "nearest centre": cv2.INTER_NEAREST_EXACT,
}
# A parsing of so few pixels that a silhouette of them has no larger sum is not usable.
_LEAST_SUM = 10_000


class Window(NamedTuple):
    """Part of an image that a cut holds.

    Attributes:
        top: First row with foreground.
        bottom: The row behind the last one.
        columns: Columns that all of these rows are resized to.
        padding: Columns of zeros that are put on both sides then.
        left: Column of that where the cut begins.
    """

    top: int
    bottom: int
    columns: int
    padding: int
    left: int


def cut_silhouette(
    image: NDArray[np.uint8], size: CutSize, interpolation: Interpolation, drop_sum: int | None
) -> NDArray[np.uint8] | None:
    """Cut one silhouette as pre-processing of gait recognition commonly does.

    The rows from the first to the last with any foreground are resized to ``size`` rows and
    ``int(size * width / height)`` columns. The middle is the first column up to and including which
    more than half of the sum of all grey levels lies. ``size / 2`` columns are taken to its left
    and, beginning with itself, to its right; where the first of these columns is 0 or less, or
    their end is the image's width or more, ``size / 2`` columns of zeros are put on both sides
    before.

    Args:
        image: uint8 [H, W], grey levels, 0 where there is background.
        size: Rows and columns of the result.
        interpolation: How it is resized.
        drop_sum: A silhouette whose grey levels sum to this or less is not usable; None: only one
            without any foreground is not.

    Returns:
        uint8 [size, size]; None where the silhouette is not usable.
    """
    window = cut_window(image, size, interpolation, drop_sum)
    return None if window is None else cut_there(image, window, size, interpolation)


def cut_labels(labels: NDArray[np.uint8], size: CutSize) -> NDArray[np.uint8] | None:
    """Cut labels where what is not background lies, each pixel the nearest one.

    Args:
        labels: uint8 [H, W], 0 where there is background.
        size: Rows and columns of the result.

    Returns:
        uint8 [size, size]; None where fewer than 40 pixels are labelled.
    """
    mask = (labels > 0).view(np.uint8) * np.uint8(255)
    window = cut_window(mask, size, "nearest", _LEAST_SUM)
    return None if window is None else cut_there(labels, window, size, "nearest")


def cut_window(
    image: NDArray[np.uint8], size: CutSize, interpolation: Method, drop_sum: int | None
) -> Window | None:
    """Window of :func:`cut_silhouette`; None where the silhouette is not usable."""
    rows = np.flatnonzero(image.any(axis=1))
    if not len(rows) or (drop_sum is not None and int(image.sum(dtype=np.int64)) <= drop_sum):
        return None
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    # A person thinner than a pixel of the result gets a whole one.
    columns = max(1, int(size * image.shape[1] / (bottom - top)))
    scaled_image = _scaled(image[top:bottom], columns, size, interpolation)
    masses = np.cumsum(scaled_image.sum(axis=0, dtype=np.int64))
    if masses[-1] == 0:
        # Bicubic interpolation steps over single rows when it makes an image much smaller.
        return None
    half = size // 2
    left = int(np.argmax(2 * masses > masses[-1])) - half
    if left <= 0 or left + size >= columns:
        return Window(top, bottom, columns, half, left + half)
    return Window(top, bottom, columns, 0, left)


def cut_there(
    image: NDArray[np.uint8], window: Window, size: CutSize, interpolation: Method
) -> NDArray[np.uint8]:
    """Cut an image uint8 [H, W] or [H, W, C] in a window; uint8 [size, size] or [size, size, C]."""
    part = image[window.top : window.bottom]
    scaled_image = _scaled(part, window.columns, size, interpolation)
    if window.padding:
        sides = ((0, 0), (window.padding, window.padding), (0, 0))[: image.ndim]
        scaled_image = np.pad(scaled_image, sides)
    return np.ascontiguousarray(scaled_image[:, window.left : window.left + size])


def _scaled(
    image: NDArray[np.uint8], columns: int, rows: int, interpolation: Method
) -> NDArray[np.uint8]:
    resized = cv2.resize(image, (columns, rows), interpolation=_METHODS[interpolation])
    return np.asarray(resized, np.uint8)


def cut_silhouettes(
    images: Iterable[NDArray[np.uint8]],
    size: CutSize,
    interpolation: Interpolation,
    drop_sum: int | None,
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Cut the silhouettes of a sequence (arguments as :func:`cut_silhouette`).

    Returns:
        Cuts uint8 [T, size, size], zeros where a silhouette is not usable, and which are usable,
        bool [T].
    """
    cuts = [cut_silhouette(image, size, interpolation, drop_sum) for image in images]
    usable = np.array([cut is not None for cut in cuts], np.bool_)
    blank = np.zeros((size, size), np.uint8)
    stack = np.array([blank if cut is None else cut for cut in cuts], np.uint8)
    return stack.reshape(-1, size, size), usable
