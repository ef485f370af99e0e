"""One geometry for RGB and silhouette: the person's box, fitted to the full height.

The box's height becomes 256 and its width follows the aspect ratio (width / height inside this
project). The result is centred between the columns of a frame of 128: a narrower person is padded
with black, a wider one is cut at both sides, as height-fitted silhouettes are in gait recognition
(nobody is squeezed, for body shape is what identifies). The same box and numbers go into both
functions, so that a pixel of the one lies on a pixel of the other.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from core.records import FRAME_HEIGHT, FRAME_WIDTH
from core.video.faults import FrameFault, Reason

# Foreground below this many pixels is noise; the usual cleaning of CASIA-B drops the same
# (a silhouette whose grey levels sum to at most 10,000).
MIN_FOREGROUND = 40
MIN_BOX_HEIGHT = 16
# A part of this share of the largest one belongs to the person (legs cut off by segmentation);
# smaller ones are specks that would enlarge the box.
SPECK_SHARE = 0.05
THRESHOLD = 127


class Box(NamedTuple):
    """A box in pixels: rows ``top`` to ``bottom`` and columns ``left`` to ``right``, ends out."""

    top: int
    bottom: int
    left: int
    right: int


def as_mask(image: NDArray[np.uint8], limit: int | None = None) -> NDArray[np.uint8]:
    """Make a silhouette's foreground 255 and all else 0.

    Args:
        image: uint8 [H, W].
        limit: The highest value that is background. Without it, the image is one of 0/255 (grey
            edges allowed) or 0/1.

    Returns:
        uint8 [H, W] of 0 and 255.
    """
    if limit is None:
        limit = THRESHOLD if image.size and image.max() > 1 else 0
    return np.asarray(cv2.threshold(image, limit, 255, cv2.THRESH_BINARY)[1], np.uint8)


def whole(shape: tuple[int, ...]) -> Box:
    """The box of a frame of ``shape`` [H, W, ...] that is the person's crop already."""
    return Box(0, shape[0], 0, shape[1])


def is_blank(frame: NDArray[np.uint8]) -> bool:
    """Whether a frame uint8 [H, W, 3] is black or white all over."""
    first = frame[0, 0, 0]
    if first not in (0, 255) or (frame[::32, ::16] != first).any():
        return False
    return bool((frame == first).all())


def person_box(mask: NDArray[np.uint8]) -> Box:
    """Find the person in a whole scene.

    Args:
        mask: uint8 [H, W] of 0 and 255.

    Returns:
        The box around the largest part and all parts of at least :data:`SPECK_SHARE` of its area.

    Raises:
        FrameFault: (almost) nothing is foreground.
    """
    # Labelling parts takes time by the pixel: look inside the foreground's own box only.
    column, row, width, height = cv2.boundingRect(mask)
    if width == 0:
        raise FrameFault(Reason.EMPTY_SILHOUETTE)
    inside = mask[row : row + height, column : column + width]
    _, _, parts, _ = cv2.connectedComponentsWithStats(inside, connectivity=8)
    areas = parts[1:, cv2.CC_STAT_AREA]
    components = parts[1:][areas >= max(1.0, SPECK_SHARE * areas.max())]
    left, top = components[:, cv2.CC_STAT_LEFT] + column, components[:, cv2.CC_STAT_TOP] + row
    right, bottom = left + components[:, cv2.CC_STAT_WIDTH], top + components[:, cv2.CC_STAT_HEIGHT]
    box = Box(int(top.min()), int(bottom.max()), int(left.min()), int(right.max()))
    if areas.sum() < MIN_FOREGROUND or box.bottom - box.top < MIN_BOX_HEIGHT:
        raise FrameFault(Reason.EMPTY_SILHOUETTE)
    return box


def fit_rgb(
    image: NDArray[np.uint8], box: Box, out: NDArray[np.uint8], ratio: float | None = None
) -> None:
    """Fit the box of an RGB frame into ``out``.

    Args:
        image: uint8 [H, W, 3].
        box: Part of it to fit.
        out: uint8 [256, 128, 3], filled with zeros by the caller.
        ratio: True width / height where the frame was squashed; the box's own without it.
    """
    _fit(image, box, out, ratio)


def fit_silhouette(
    mask: NDArray[np.uint8], box: Box, out: NDArray[np.bool_], ratio: float | None = None
) -> None:
    """Fit the box of a silhouette into ``out``, in the geometry of :func:`fit_rgb`.

    Args:
        mask: uint8 [H, W] of 0 and 255.
        box: Part of it to fit.
        out: bool [256, 128], all False.
        ratio: As for the RGB frame.
    """
    grey = np.zeros((FRAME_HEIGHT, FRAME_WIDTH), np.uint8)
    _fit(mask, box, grey, ratio)
    np.greater(grey, THRESHOLD, out=out)


def fit_labels(
    labels: NDArray[np.uint8], box: Box, out: NDArray[np.uint8], ratio: float | None = None
) -> None:
    """Fit the box of labels of body parts into ``out``, each pixel the one with the nearest centre.

    Args:
        labels: uint8 [H, W].
        box: What to take of it.
        out: uint8 [256, 128], filled with zeros by the caller.
        ratio: As for the RGB frame.
    """
    _fit(labels, box, out, ratio, nearest=True)


def _fit(
    image: NDArray[np.uint8],
    box: Box,
    out: NDArray[np.uint8],
    ratio: float | None,
    *,
    nearest: bool = False,
) -> None:
    part = image[box.top : box.bottom, box.left : box.right]
    height, width = part.shape[:2]
    true_ratio = width / height if ratio is None else ratio
    fitted = max(1, round(FRAME_HEIGHT * true_ratio))
    if fitted > FRAME_WIDTH:
        # Cut before resizing, so that a hostile ratio costs nothing.
        keep = width * FRAME_WIDTH / fitted
        start = round((width - keep) / 2)
        part = part[:, start : start + max(1, round(keep))]
        fitted = FRAME_WIDTH
    shrinks = height > FRAME_HEIGHT
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    method = cv2.INTER_NEAREST_EXACT if nearest else method
    left = (FRAME_WIDTH - fitted) // 2
    out[:, left : left + fitted] = cv2.resize(part, (fitted, FRAME_HEIGHT), interpolation=method)
