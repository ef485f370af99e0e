"""Effects of a camera and a codec on a scene: light, colour, blur, noise, compression."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]


def record(rng: np.random.Generator, scene: Image) -> Image:
    """Record a scene uint8 [H, W, 3] as one of many cameras does, at one of many sizes."""
    height, width = scene.shape[:2]
    tall = int(rng.uniform(48, 260))
    image = scene
    if tall < height:
        size = (max(2, round(width * tall / height)), tall)
        image = np.asarray(cv2.resize(scene, size, interpolation=cv2.INTER_AREA), np.uint8)
    image = _exposed(rng, image)
    if rng.random() < 0.5:
        image = _blurred(rng, image)
    if rng.random() < 0.7:
        noise = rng.standard_normal(image.shape, np.float32) * np.float32(rng.uniform(1, 12))
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.7:
        image = _compressed(rng, image)
    if image.shape[0] != height:
        image = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR))
    return np.asarray(image, np.uint8)


def _exposed(rng: np.random.Generator, image: Image) -> Image:
    """Gain, colour of the light, gamma and saturation in one table for each channel."""
    night = rng.random() < 0.12
    level = rng.uniform(0.15, 0.4) if night else rng.uniform(0.65, 1.25)
    gain = level * (1 + rng.normal(0, 0.07, 3))
    gamma = float(np.exp(rng.normal(0, 0.2)))
    steps = (np.arange(256) / 255)[:, None] ** gamma * 255 * gain + rng.normal(0, 6)
    table = np.clip(steps, 0, 255).astype(np.uint8)[None]
    image = np.asarray(cv2.LUT(image, table), np.uint8)
    if rng.random() < 0.3:
        grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        share = float(rng.uniform(0.2, 1.0))
        image = np.asarray(cv2.addWeighted(image, 1 - share, grey, share, 0), np.uint8)
    return image


def _blurred(rng: np.random.Generator, image: Image) -> Image:
    """A soft lens, or movement in one direction."""
    if rng.random() < 0.6:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.4, 1.6))), np.uint8)
    length = int(rng.integers(2, 6))
    kernel = np.zeros((length, length), np.float32)
    cv2.line(kernel, (0, int(rng.integers(length))), (length - 1, int(rng.integers(length))), 1.0)
    return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum()), np.uint8)


def _compressed(rng: np.random.Generator, image: Image) -> Image:
    quality = (cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 96)))
    success, data = cv2.imencode(".jpg", image, quality)
    assert success, "a picture in memory can be encoded"
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
