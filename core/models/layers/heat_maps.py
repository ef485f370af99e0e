"""Skeleton maps: poses drawn as two small grey images, limbs and joints (Fan et al. 2024).

SkeletonGait and SkeletonGait++ (AAAI 2024, arXiv 2311.13444) read them as other networks read
silhouettes. A sequence's maps are made once: a joint that the pose estimator missed is taken from
like frames of the same sequence.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Poses = NDArray[np.float32]
Map = NDArray[np.float32]

# Joints of COCO-17 between which a limb is drawn.
DRAWN_LIMBS = (
    (0, 1), (0, 2), (1, 3), (2, 4), (0, 5), (5, 7), (7, 9), (0, 6), (6, 8), (8, 10),
    (5, 11), (11, 13), (13, 15), (6, 12), (12, 14), (14, 16), (11, 12),
)  # fmt: skip
HIPS = (11, 12)
CANVAS = 128  # pixels a side, on which maps are drawn
MAP_SIZE = 64  # pixels a side of a finished map
PERSON = 85  # pixels from the highest to the lowest joint: int(CANVAS / 1.5)
SIGMA = 8.0
REACH = 3 * SIGMA
FAINTEST = 1e-3  # a joint or limb of less confidence is not drawn
NEIGHBOURS = 4
_ROWS = 1024  # frames whose distances to all others are in memory at once


def skeleton_maps(poses: Poses) -> NDArray[np.uint8]:
    """Skeleton maps of one whole sequence.

    Missing joints are filled in (:func:`filled`), each frame is brought to one size and place
    (:func:`placed`), drawn (:func:`drawn`), and either map is cut out by itself (:func:`cut_map`).

    Args:
        poses: float32 [T, 17, 3], COCO-17: x, y in pixels and confidence in [0, 1]. A coordinate
            of exactly 0, or that is not a number, is missing.

    Returns:
        uint8 [T, 2, 64, 64], limbs and joints; zeros where nothing of a frame could be drawn.
    """
    maps = np.zeros((len(poses), 2, MAP_SIZE, MAP_SIZE), np.uint8)
    for pose, place in zip(placed(filled(poses)), maps, strict=True):
        for channel, image in enumerate(drawn(pose)):
            # Rounded down, as the published maps are.
            place[channel] = cut_map((255 * image).astype(np.uint8))
    return maps


def filled(poses: Poses) -> Poses:
    """Poses with missing coordinates taken from the frames of the sequence that are most alike.

    Each missing coordinate becomes the mean of that coordinate in the four nearest frames that have
    it, weighted by one over their distance: the Euclidean one over the coordinates that both frames
    have, scaled up to all 34 (Troyanskaya et al. 2001). Confidences stay. A sequence in which one
    coordinate is missing everywhere stays as it is, as in the authors' preparation.

    Args:
        poses: float32 [T, 17, 3].
    """
    values = poses[..., :2].reshape(len(poses), 2 * poses.shape[1]).astype(np.float64)
    present = (values != 0) & np.isfinite(values)
    values[~present] = 0
    lacking = np.flatnonzero(~present.all(axis=1))
    if not len(lacking) or not present.any(axis=0).all():
        return poses
    out = values.copy()
    for rows in np.split(lacking, range(_ROWS, len(lacking), _ROWS)):
        distances = _distances(values, present, rows)
        for column in np.flatnonzero(~present[rows].all(axis=0)):
            own, donors = ~present[rows, column], np.flatnonzero(present[:, column])
            out[rows[own], column] = _weighted(distances[own][:, donors], values[donors, column])
    whole = poses.copy()
    whole[..., :2] = out.reshape(*poses.shape[:2], 2)
    return whole


def _distances(
    values: NDArray[np.float64], present: NDArray[np.bool_], rows: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Distances [len(rows), T]; infinite between frames without a common coordinate."""
    have, squares = present.astype(np.float64), values**2
    # What is missing is 0, and adds nothing to the product.
    sums = squares[rows] @ have.T + have[rows] @ squares.T - 2 * values[rows] @ values.T
    common = have[rows] @ have.T
    mean = np.maximum(sums, 0) / np.maximum(common, 1)
    return np.asarray(np.where(common > 0, np.sqrt(mean * values.shape[1]), np.inf), np.float64)


def _weighted(distances: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means [n] of the nearest of ``values`` [d] by ``distances`` [n, d]."""
    nearest = np.argsort(distances, axis=1, kind="stable")[:, :NEIGHBOURS]
    near = np.take_along_axis(distances, nearest, axis=1)
    equal = near == 0
    # A frame at no distance counts alone; one that has nothing in common counts nothing.
    weights = np.where(equal.any(axis=1, keepdims=True), equal, 1 / np.where(equal, 1, near))
    total = weights.sum(axis=1)
    means = (weights * values[nearest]).sum(axis=1) / np.where(total > 0, total, 1)
    return np.asarray(np.where(total > 0, means, values.mean()), np.float64)


def placed(poses: Poses) -> Poses:
    """Poses with the middle of the hips in the canvas' centre, 85 pixels from top to bottom joint.

    A frame whose joints lie in one row has no height to scale by, and keeps its size.

    Args:
        poses: float32 [T, 17, 3].
    """
    points = poses[..., :2]
    rows = points[..., 1]
    height = rows.max(axis=1) - rows.min(axis=1)
    scale = PERSON / np.where(height > 0, height, PERSON)
    middle = points[:, HIPS].mean(axis=1, keepdims=True)
    out = poses.copy()
    out[..., :2] = (points - middle) * scale[:, None, None] + CANVAS // 2
    return out


def drawn(pose: Poses) -> tuple[Map, Map]:
    """Limbs and joints of one frame as bells of sigma 8, the brightest at each pixel.

    A joint is ``c exp(-d^2 / 2 sigma^2)`` with c its confidence and d the distance from it, a limb
    the same with the smaller confidence of its two joints and the distance from the line between
    them. Either ends three sigmas beyond its columns and its rows.

    Args:
        pose: float32 [17, 3], on the canvas.

    Returns:
        Two of float32 [128, 128] in [0, 1].
    """
    limbs, joints = (np.zeros((CANVAS, CANVAS), np.float32) for _ in range(2))
    points, confidences = pose[:, :2].astype(np.float64), pose[:, 2]
    for point, confidence in zip(points, confidences, strict=True):
        _draw(joints, point, point, float(confidence))
    for first, second in DRAWN_LIMBS:
        confidence = min(float(confidences[first]), float(confidences[second]))
        _draw(limbs, points[first], points[second], confidence)
    return limbs, joints


def _draw(
    image: Map, start: NDArray[np.float64], end: NDArray[np.float64], confidence: float
) -> None:
    """Draw the bell along a line into ``image``; a joint is a line of no length."""
    if not confidence >= FAINTEST:
        return
    first = np.maximum(np.ceil(np.minimum(start, end) - REACH), 0)
    last = np.minimum(np.floor(np.maximum(start, end) + REACH), CANVAS - 1)
    if not (first <= last).all():
        return  # outside
    (left, top), (right, bottom) = first.astype(int), last.astype(int)
    x = (np.arange(left, right + 1) - start[0]).astype(np.float32)
    y = (np.arange(top, bottom + 1) - start[1]).astype(np.float32)[:, None]
    (dx, dy), part = (end - start).tolist(), image[top : bottom + 1, left : right + 1]
    if dx == dy == 0:
        bell = _bell(x**2) * (confidence * _bell(y**2))
    else:
        length = dx**2 + dy**2
        # Of the line, up to the point of it that is nearest.
        share = (x * (dx / length) + y * (dy / length)).clip(0, 1)
        bell = confidence * _bell((x - share * dx) ** 2 + (y - share * dy) ** 2)
    np.maximum(part, bell, out=part)


def _bell(squares: Map) -> Map:
    return np.asarray(np.exp(squares * np.float32(-0.5 / SIGMA**2)), np.float32)


def cut_map(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Cut a drawn map out: the square from its first to its last row with anything in it.

    The square stands in the middle of the columns, and is resized by area means.

    Args:
        image: uint8 [128, 128].

    Returns:
        uint8 [64, 64]; zeros of zeros.
    """
    rows = np.flatnonzero(image.any(axis=1))
    if not len(rows):
        return np.zeros((MAP_SIZE, MAP_SIZE), np.uint8)
    height = int(rows[-1] - rows[0]) + 1
    left = CANVAS // 2 - height // 2
    square = np.ascontiguousarray(image[rows[0] : rows[-1] + 1, left : left + height])
    resized = cv2.resize(square, (MAP_SIZE, MAP_SIZE), interpolation=cv2.INTER_AREA)
    return np.asarray(resized, np.uint8)
