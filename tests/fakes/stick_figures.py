"""Stick figures that walk, as poses of COCO-17."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

# Rows of the left-hand and the middle joints in units of the body's height, and their distance from
# its axis; and how far each swings. Left and right take turns.
_ROWS = (0.0, -0.02, -0.02, 0.0, 0.0, 0.14, 0.14, 0.3, 0.3, 0.45, 0.45, 0.48, 0.48, 0.72, 0.72,
         0.95, 0.95)  # fmt: skip
_WIDTHS = (0.0, 0.02, 0.02, 0.04, 0.04, 0.1, 0.1, 0.12, 0.12, 0.13, 0.13, 0.07, 0.07, 0.07, 0.07,
           0.07, 0.07)  # fmt: skip
_SWINGS = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.06, 0.06, 0.12, 0.12, 0.0, 0.0, 0.08, 0.08, 0.16,
           0.16)  # fmt: skip
# Of each joint, the one on the other side.


def stick_figures(people: Tensor, frames: int) -> Tensor:
    """Walkers whose breadth, height and pace are a person's own.

    Args:
        people: int64 [B], who walks in each clip; below 8.
        frames: T.

    Returns:
        float32 [B*T, 17, 3] in pixels of a frame of 256x128, clip by clip; no two clips of a person
        begin at the same step.
    """
    side = np.array([0, *[1, -1] * 8])
    clips = []
    for clip, person in enumerate(people.tolist()):
        at = np.arange(frames)[:, None]
        swing = np.sin((at + 1.3 * clip) * (0.4 + 0.1 * person)) * side
        height = 160 + 20 * (person // 4) + 6 * (person % 4)
        breadth = 1 + 0.25 * (person % 4)
        x = 64 + height * (breadth * np.array(_WIDTHS) * side + np.array(_SWINGS) * swing)
        y = 40 + height * np.array(_ROWS) - 2 * np.abs(swing[:, 1:2])
        confidence = 0.75 + 0.2 * np.sin(at + np.arange(17))
        clips.append(np.stack([x, np.broadcast_to(y, x.shape), confidence], axis=2))
    return torch.from_numpy(np.concatenate(clips).astype(np.float32))


def figure(frames: int = 5, person: int = 3) -> NDArray[np.float32]:
    """One walker, float32 [T, 17, 3]."""
    return np.asarray(stick_figures(torch.tensor([person]), frames).numpy())
