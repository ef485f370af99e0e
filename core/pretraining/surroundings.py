"""Surroundings with their labels: sky, walls, windows, ground, things; of many kinds and textures.

They share nothing with :mod:`core.synthetic.background`, so that an encoder does not come to know
the renderer that it is tried on.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from core.pretraining.labels import Label

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]


def draw_surroundings(
    rng: np.random.Generator, width: int, height: int, end: float
) -> tuple[Image, Image]:
    """A scene without people.

    Args:
        rng: What decides.
        width: Pixels.
        height: Pixels.
        end: Row at which the ground ends; may lie outside the picture.

    Returns:
        RGB uint8 [height, width, 3] and labels uint8 [height, width].
    """
    image = np.empty((height, width, 3), np.float32)
    labels = np.empty((height, width), np.uint8)
    row = int(np.clip(end, 0, height))
    skyline = int(np.clip(row - rng.exponential(0.35) * height, 0, row))
    if rng.random() < 0.45:  # indoors, or a wall that fills the picture
        skyline = 0
    _fill(rng, image, labels, slice(0, skyline), Label.SKY)
    _fill(rng, image, labels, slice(skyline, row), Label.WALL)
    _fill(rng, image, labels, slice(row, height), Label.GROUND)
    if row - skyline > 12 and rng.random() < 0.7:
        _add_windows(rng, image, labels, skyline, row)
    for _ in range(int(rng.integers(0, 6))):
        add_thing(rng, image, labels, row)
    image *= ramp(rng, height, width)
    return np.clip(image, 0, 255).astype(np.uint8), labels


def ramp(rng: np.random.Generator, height: int, width: int) -> Floats:
    """Light that falls off over a picture: factors float32 [height, width, 1]."""
    (top, bottom), (left, right) = rng.uniform(0.75, 1.2, (2, 2)).tolist()
    down = np.linspace(top, bottom, height, dtype=np.float32)[:, None]
    across = np.linspace(left, right, width, dtype=np.float32)
    return np.asarray((down * across)[..., None])


def _fill(
    rng: np.random.Generator, image: Floats, labels: Image, rows: slice, label: Label
) -> None:
    """Paint some whole rows with a colour and a texture that suit their content."""
    height, width = rows.stop - rows.start, image.shape[1]
    if height <= 0:
        return
    labels[rows] = label
    if label is Label.SKY:
        blue, grey = np.array([120.0, 170.0, 230.0]), np.full(3, 205.0)
        tone = blue + rng.random() * (grey - blue) + rng.normal(0, 14, 3)
        fade = np.linspace(0.8, 1.1, height, dtype=np.float32)[:, None, None]
        strength = rng.uniform(0, 22)
        image[rows] = tone * fade + strength * smooth_noise(rng, height, width, 5)
        return
    tone = rng.uniform(35, 225) + rng.normal(0, 22, 3)
    if label is Label.GROUND and rng.random() < 0.25:  # grass
        tone = np.array([85.0, 125.0, 60.0]) * rng.uniform(0.6, 1.3) + rng.normal(0, 12, 3)
    image[rows] = tone + texture(rng, height, width) * rng.uniform(0, 45)


def texture(rng: np.random.Generator, height: int, width: int) -> Floats:
    """One of several textures, float32 [height, width, 1 or 3], about -1 to 1."""
    kind = int(rng.integers(7))
    if kind == 0:
        return np.zeros((height, width, 1), np.float32)
    if kind == 1:  # fine grain
        return rng.standard_normal((height, width, 1), np.float32) * np.float32(0.5)
    if kind == 2:  # natural pictures' spectrum: noise at several scales
        parts = [
            smooth_noise(rng, height, width, cells) / n for n, cells in enumerate((3, 8, 24, 60), 1)
        ]
        return np.asarray(sum(parts), np.float32)
    if kind == 3:
        return dead_leaves(rng, height, width)
    down = np.arange(height, dtype=np.float32)[:, None]
    across = np.arange(width, dtype=np.float32)[None]
    turn = rng.uniform(0, np.pi)
    along = down * np.sin(turn) + across * np.cos(turn)
    if kind == 4:  # stripes, soft or hard
        wave = np.sin(2 * np.pi * along / rng.uniform(4, 40) + rng.uniform(0, 6))
        return np.asarray(np.sign(wave) if rng.random() < 0.5 else wave, np.float32)[..., None]
    tall, wide = int(rng.integers(5, 40)), int(rng.integers(5, 40))
    rows = (down // tall).astype(int)
    shift = rng.integers(0, wide) if kind == 5 else 0
    columns = ((across + shift * (rows % 2)) // wide).astype(int)
    if kind == 5:  # bricks or tiles with joints
        joint = (down % tall < 1.5) | ((across + shift * (rows % 2)) % wide < 1.5)
        shades = rng.normal(0, 0.3, (rows.max() + 1, columns.max() + 1))
        return np.asarray(np.where(joint, -0.8, shades[rows, columns]), np.float32)[..., None]
    return np.asarray((rows + columns) % 2 * 2 - 1, np.float32)[..., None]


def smooth_noise(rng: np.random.Generator, height: int, width: int, cells: int) -> Floats:
    """Noise that changes over a ``cells``-th of the picture, float32 [height, width, 1]."""
    coarse = rng.standard_normal((cells, cells), np.float32)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR))[
        ..., None
    ]


def dead_leaves(rng: np.random.Generator, height: int, width: int) -> Floats:
    """Overlapping shapes of all sizes, whose statistics are near those of photographs.

    After Lee, Mumford and Huang, "Occlusion models for natural images" (IJCV 2001).

    Returns:
        float32 [height, width, 3], about -1 to 1.
    """
    image = np.zeros((height, width, 3), np.float32)
    for _ in range(int(rng.integers(15, 50))):
        size = float(min(4 / max(rng.random(), 0.03), 0.6 * width))
        centre = (int(rng.uniform(0, width)), int(rng.uniform(0, height)))
        tint = tuple(float(v) for v in rng.uniform(-1, 1) + rng.normal(0, 0.25, 3))
        if rng.random() < 0.5:
            axes = (int(size) + 1, int(size * rng.uniform(0.3, 1)) + 1)
            cv2.ellipse(image, centre, axes, float(rng.uniform(0, 180)), 0, 360, tint, -1)
        else:
            corners = np.array(centre) + rng.normal(0, size, (int(rng.integers(3, 6)), 2))
            cv2.fillConvexPoly(image, cv2.convexHull(corners.astype(np.int32)), tint)
    return image


def _add_windows(
    rng: np.random.Generator, image: Floats, labels: Image, top: int, bottom: int
) -> None:
    """A window or a row of them between two rows, some with a frame."""
    tall = int(rng.uniform(0.25, 0.8) * (bottom - top))
    wide = int(rng.uniform(0.12, 0.6) * image.shape[1])
    y, x = int(rng.uniform(top, bottom - tall)), int(rng.uniform(-0.5, 1) * image.shape[1])
    glass = rng.uniform(20, 245) + rng.normal(0, 18, 3)
    frame = tuple(float(v) for v in rng.uniform(10, 245, 3))
    gap = int(rng.uniform(1.2, 2.0) * wide)
    shine = texture(rng, tall, wide) * rng.uniform(0, 25)
    many = range(int(rng.integers(1, 5)))
    for left in (x + gap * number for number in many):
        low, high = max(left, 0), min(left + wide, image.shape[1])
        if high <= low:
            continue
        image[y : y + tall, low:high] = glass + shine[:, low - left : high - left]
        labels[y : y + tall, low:high] = Label.WINDOW
        if rng.random() < 0.6:
            thick = int(rng.integers(1, 4))
            cv2.rectangle(image, (left, y), (left + wide, y + tall), frame, thick)
            cv2.line(image, (left + wide // 2, y), (left + wide // 2, y + tall), frame, thick)


def add_thing(
    rng: np.random.Generator, image: Floats, labels: Image, row: int, near: bool = False
) -> None:
    """Something that stands on the ground, such as a pole, a bush, a box or a rail.

    Args:
        rng: What decides.
        image: float32 [H, W, 3], painted into.
        labels: uint8 [H, W], the same.
        row: Row of the ground behind it.
        near: It stands in front of people, so at the lower edge of the picture.
    """
    height, width = labels.shape
    mask = np.zeros((height, width), np.uint8)
    foot = height if near else int(min(row + rng.exponential(0.15) * height, height))
    x, kind = int(rng.uniform(-0.05, 1.05) * width), int(rng.integers(5))
    if kind == 0:  # a pole or a trunk of a tree
        half = int(rng.uniform(0.01, 0.09) * width) + 1
        cv2.rectangle(mask, (x - half, int(rng.uniform(-1, 0.4) * height)), (x + half, foot), 1, -1)
    elif kind == 1:  # a bush: several discs
        size = rng.uniform(0.05, 0.25) * width
        for _ in range(6):
            spot = (int(x + rng.normal(0, size)), int(foot - abs(rng.normal(0, size))))
            cv2.circle(mask, spot, int(size * rng.uniform(0.4, 0.9)) + 1, 1, -1)
    elif kind == 2:  # a box, a bench, a low wall
        half = rng.uniform(0.05, 0.6) * width
        corner = (int(x - half), int(foot - rng.uniform(0.05, 0.35) * height))
        cv2.rectangle(mask, corner, (int(x + half), foot), 1, -1)
    elif kind == 3:  # a rail
        y = int(foot - rng.uniform(0.1, 0.4) * height)
        cv2.line(mask, (0, y), (width, y + int(rng.normal(0, 8))), 1, int(rng.integers(2, 7)))
    else:  # any convex shape
        corners = np.array([x, foot]) + rng.normal(0, 0.12 * height, (6, 2))
        cv2.fillConvexPoly(mask, cv2.convexHull(corners.astype(np.int32)), 1)
    tint = rng.uniform(15, 235) + rng.normal(0, 30, 3)
    left, top, wide, tall = cv2.boundingRect(mask)
    part = (slice(top, top + tall), slice(left, left + wide))
    shows = mask[part] > 0
    if shows.any():
        skin = tint + texture(rng, tall, wide) * rng.uniform(0, 35)
        image[part][shows] = np.broadcast_to(skin, (tall, wide, 3))[shows]
        labels[part][shows] = Label.THING
