"""A pin-hole camera."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Camera:
    """Position and optics of the camera.

    Attributes:
        position: float64 [3], metres; z is the height over the ground.
        axes: float64 [3, 3], rows: right, down and forward in world coordinates.
        focal: focal length in pixels.
        width, height: of the image in pixels; the optical axis meets its middle.
    """

    position: Array
    axes: Array
    focal: float
    width: int
    height: int

    @classmethod
    def looking_at(
        cls, position: Array, target: Array, focal: float, width: int, height: int
    ) -> Camera:
        """Stand at ``position``, look at ``target``, keep the horizon level."""
        forward = target - position
        forward = forward / np.linalg.norm(forward)
        right = np.cross(forward, np.array([0.0, 0.0, 1.0]))
        right /= np.linalg.norm(right)
        axes = np.stack([right, np.cross(forward, right), forward])
        return cls(position, axes, focal, width, height)

    def project(self, points: Array) -> tuple[Array, Array]:
        """Pixels [..., 2] (x right, y down) and distances along the axis [...] of [..., 3]."""
        relative = (points - self.position) @ self.axes.T
        depth = np.maximum(relative[..., 2], 0.2)
        middle = np.array([self.width, self.height]) / 2
        return relative[..., :2] * (self.focal / depth)[..., None] + middle, depth

    def horizon(self) -> float:
        """Row of the horizon in pixels (may lie outside the image)."""
        down, forward = self.axes[1, 2], self.axes[2, 2]
        return float(self.height / 2 - self.focal * forward / down)
