"""From figures to pixels: outlines of projected parts, painted from far to near with OpenCV."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from core.synthetic.body_labels import body_labels
from core.synthetic.camera import Camera
from core.synthetic.outfit import PATTERN_SIZE, Outfit
from core.synthetic.pieces import Figure

Array = NDArray[np.float64]

_DIRECTIONS = 20  # corners of an outline
_SHIFT = 4  # fixed-point bits of pixel coordinates
# Brightness of a part from its edge to its middle, with the share of the radius left at each step.
_TONES = ((98, 1.0), (120, 0.70), (140, 0.36))
_FULL = 128.0  # brightness that shows the palette's own colour


@dataclass(frozen=True, slots=True)
class Drawing:
    """A walker's outlines as projected by a camera.

    Attributes:
        outlines: int32 [T, P, tones, corners, 2], pixels with ``_SHIFT`` fraction bits.
        order: int64 [T, P], parts from far to near.
        labels: uint8 [P].
        parsing: uint8 [P], which part of the body each is, as parsers label them.
        boxes: float64 [T, 4], x0, y0, x1, y1 around all parts, pixels.
        anchor: int64 [T, 2], the pixel that a garment's pattern is pinned to.
        depth: float64 [T], mean distance in metres.
    """

    outlines: NDArray[np.int32]
    order: NDArray[np.int64]
    labels: NDArray[np.uint8]
    parsing: NDArray[np.uint8]
    boxes: Array
    anchor: NDArray[np.int64]
    depth: Array


def draw(figure: Figure, camera: Camera, light: float = 0.4) -> Drawing:
    """Project every part and sample its outline.

    The hull of circles (c_i, r_i) reaches max_i(c_i u + r_i) in direction u; its corner there is
    c_i + r_i u of the circle that wins. Balls are taken to project to circles.

    Args:
        figure: parts over T frames.
        camera: what sees them.
        light: where light comes from, -1 (left) to 1 (right).
    """
    centres, depth = camera.project(figure.balls[..., :3])
    radii = figure.balls[..., 3] * camera.focal / depth  # [T, P, N]
    angles = 2 * np.pi * np.arange(_DIRECTIONS) / _DIRECTIONS
    ways = np.stack([np.cos(angles), np.sin(angles)])  # [2, K]
    sun = np.array([light, -0.35])
    along = centres @ ways
    layers = []
    for _, share in _TONES:
        best = (along + share * radii[..., None]).argmax(axis=2)  # [T, P, K]
        middle = centres + (1 - share) * 0.5 * radii[..., None] * sun
        won = np.take_along_axis(middle, best[..., None], axis=2)
        reach = np.take_along_axis(share * radii, best, axis=2)
        layers.append(won + reach[..., None] * ways.T)
    corners = np.stack(layers, axis=2)  # [T, P, tones, K, 2]
    outer = corners[:, :, 0].reshape(len(corners), -1, 2)
    boxes = np.concatenate([outer.min(axis=1), outer.max(axis=1)], axis=1)
    distance = depth.mean(axis=2)
    return Drawing(
        outlines=np.round(corners * (1 << _SHIFT)).astype(np.int32),
        order=np.argsort(-(distance - figure.nearer), axis=1, kind="stable"),
        labels=figure.labels,
        parsing=body_labels(figure),
        boxes=boxes,
        anchor=np.round(centres[:, 0, 0]).astype(np.int64),
        depth=distance.mean(axis=1),
    )


def paint_labels(drawing: Drawing, frame: int, box: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """Labels and brightness of one frame inside ``box`` (x0, y0, x1, y1): uint8 [h, w, 2]."""
    x0, y0, x1, y1 = box
    canvas = np.zeros((y1 - y0, x1 - x0, 2), np.uint8)
    # Half a pixel: OpenCV's integer coordinates are pixel centres.
    origin = np.array([x0, y0]) * (1 << _SHIFT) + (1 << (_SHIFT - 1))
    outlines = drawing.outlines[frame] - origin.astype(np.int32)
    labels = drawing.labels.tolist()
    for part in drawing.order[frame].tolist():
        label = labels[part]
        for outline, (tone, _) in zip(outlines[part], _TONES, strict=True):
            cv2.fillConvexPoly(canvas, outline, (label, tone), cv2.LINE_8, _SHIFT)
    return canvas


def colour(
    canvas: NDArray[np.uint8], outfit: Outfit, anchor: tuple[int, int], scale: float = 1.0
) -> NDArray[np.uint8]:
    """Colours of a canvas of :func:`paint_labels`: uint8 [h, w, 3], black elsewhere.

    Args:
        canvas: uint8 [h, w, 2].
        outfit: palette and pattern.
        anchor: pixel of the canvas that the pattern is pinned to.
        scale: brightness of the light.
    """
    labels, tones = cv2.split(canvas)
    tones = cv2.blur(tones, (3, 3))
    height, width = labels.shape
    if outfit.pattern.any():
        side = max(PATTERN_SIZE, height, width)
        pattern = outfit.pattern
        if side > PATTERN_SIZE:
            pattern = cv2.resize(pattern, (side, side), interpolation=cv2.INTER_LINEAR)
        left = int(np.clip(side // 2 - anchor[0], 0, side - width))
        top = int(np.clip(side // 2 - anchor[1], 0, side - height))
        piece = pattern[top : top + height, left : left + width]
        where = cv2.inRange(labels, outfit.patterned, outfit.patterned)
        tones = cv2.subtract(tones, piece, dst=tones, mask=where)
    table = np.zeros((1, 256, 3), np.uint8)
    table[0, : len(outfit.palette)] = outfit.palette
    base = cv2.LUT(cv2.merge([labels] * 3), table)
    lit = cv2.multiply(base, cv2.merge([tones] * 3), scale=scale / _FULL)
    return np.asarray(lit, dtype=np.uint8)
