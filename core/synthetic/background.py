"""Static backgrounds: a wall, a floor and clutter, drawn separately for every sequence."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def draw_background(
    rng: np.random.Generator, width: int, height: int, horizon: float
) -> NDArray[np.uint8]:
    """A scene without people: uint8 [height, width, 3].

    Args:
        rng: what decides.
        width: pixels.
        height: pixels.
        horizon: row at which the floor ends and the wall begins; clipped to the image.
    """
    image = np.empty((height, width, 3), np.float32)
    row = int(np.clip(horizon, 0, height))
    wall, floor = rng.uniform(50, 220, size=(2, 1)) + rng.normal(0, 18, size=(2, 3))
    image[:row] = wall
    image[row:] = floor
    image *= np.linspace(rng.uniform(0.75, 1.1), rng.uniform(0.75, 1.1), width)[None, :, None]
    image[row:] *= np.linspace(0.85, 1.1, height - row)[:, None, None]
    for _ in range(int(rng.integers(4, 11))):
        _add_clutter(rng, image, row)
    for cells, strength in ((6, 18.0), (40, 9.0)):
        coarse = rng.normal(0, strength, (cells, cells, 1)).astype(np.float32)
        smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
        image += smooth[..., None]
    return np.clip(image, 0, 255).astype(np.uint8)


def _add_clutter(rng: np.random.Generator, image: NDArray[np.float32], horizon: int) -> None:
    height, width = image.shape[:2]
    tint = tuple(float(value) for value in rng.uniform(20, 235, size=3))
    x, w = int(rng.uniform(-0.1, 1) * width), int(rng.uniform(0.03, 0.3) * width)
    kind = rng.integers(3)
    if kind == 0:  # window, door or cupboard on the wall
        top = int(horizon - rng.uniform(0.1, 0.9) * height)
        cv2.rectangle(image, (x, top), (x + w, int(top + rng.uniform(0.1, 0.6) * height)), tint, -1)
    elif kind == 1:  # a line on floor or wall
        y = int(rng.uniform(0, height))
        end = (x + 3 * w, int(y + rng.normal(0, 0.15) * height))
        cv2.line(image, (x, y), end, tint, int(rng.integers(1, 5)))
    else:  # something round, such as a bush or a lamp
        centre = (x, int(horizon + rng.normal(0, 0.2) * height))
        cv2.ellipse(
            image, centre, (w // 2 + 1, int(w * rng.uniform(0.3, 1)) + 1), 0, 0, 360, tint, -1
        )
