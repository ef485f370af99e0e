"""Scenes: walkers, their paths, the camera and the light, separate from bodies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from core.synthetic.camera import Camera
from core.synthetic.figure import dress
from core.synthetic.identity import Body, Dynamics
from core.synthetic.motion import Pose, pose, progression
from core.synthetic.outfit import Outfit
from core.synthetic.paint import Drawing, colour, draw, paint_labels
from core.synthetic.pieces import Figure

_NEAREST = 0.6  # metres before the camera at which a person is no longer drawn
_SWAY = 0.02  # cycles by which somebody who stands still rocks to and fro
_ANYWHERE = (-(10**6), -(10**6), 10**6, 10**6)

Box = tuple[int, int, int, int]
Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class SceneWalker:
    """A walker in a scene.

    Attributes:
        body, dynamics, outfit: who, how, and in what.
        start: (x, y) on the ground in metres at time 0.
        heading: direction of walking in degrees, 0 along x, counter-clockwise from above.
        phase: of the gait cycle at time 0.
        stop: when the walker stands still, and for how long, in seconds; None for never.
    """

    body: Body
    dynamics: Dynamics
    outfit: Outfit
    start: tuple[float, float] = (0.0, 0.0)
    heading: float = 0.0
    phase: float = 0.0
    stop: tuple[float, float] | None = None

    @property
    def speed(self) -> float:
        """Metres per second."""
        return progression(self.body, self.dynamics).stride / self.dynamics.cycle

    def skeleton(self, times: NDArray[np.float64]) -> Pose:
        """Skeleton in world coordinates at ``times`` [T] (seconds)."""
        return self._place(self._posture(times), times)

    def figure(self, times: NDArray[np.float64]) -> Figure:
        """Dressed body in world coordinates at ``times`` [T] (seconds)."""
        # Loads are hung on in the walker's own axes, so dress first and place the balls after.
        still = dress(self._posture(times), self.body, self.outfit)
        turn, shift = self._path(times)
        balls = still.balls.copy()
        balls[..., :3] = balls[..., :3] @ turn.T + shift[:, None, None]
        return replace(still, balls=balls)

    def _posture(self, times: NDArray[np.float64]) -> Pose:
        return pose(self.body, self.dynamics, self._phases(times))

    def _phases(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """Cycles walked since the foot's heel strike; people who stand still only sway."""
        if self.stop is None:
            return self.phase + times / self.dynamics.cycle
        begin, length = self.stop
        standing = np.clip(times - begin, 0, length)
        sway = _SWAY * np.sin(2 * np.pi * standing / length)
        return self.phase + (times - standing) / self.dynamics.cycle + sway

    def _path(self, times: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        course = progression(self.body, self.dynamics)
        phases = self._phases(times)
        angle = np.radians(self.heading)
        turn = np.array(
            [
                [np.cos(angle), -np.sin(angle), 0.0],
                [np.sin(angle), np.cos(angle), 0.0],
                [0, 0, 1.0],
            ]
        )
        travel = course.at(phases)
        travel[:, 0] -= course.at(np.array([self.phase]))[0, 0]
        return turn, travel @ turn.T + np.array([*self.start, 0.0])

    def _place(self, posture: Pose, times: NDArray[np.float64]) -> Pose:
        return posture.moved(*self._path(times))


@dataclass(frozen=True, slots=True)
class Light:
    """Light and recording of a sequence.

    Attributes:
        gain: factor per RGB channel.
        side: where light comes from, -1 (left) to 1 (right).
        noise: standard deviation of the sensor's noise in grey levels.
        blur: whether the lens is soft.
    """

    gain: tuple[float, float, float] = (1.0, 1.0, 1.0)
    side: float = 0.4
    noise: float = 3.0
    blur: bool = True


@dataclass(frozen=True, slots=True)
class Cover:
    """A foreground: ``image`` uint8 [H, W, 3] hides everything behind ``mask`` (255)."""

    image: Image
    mask: Image


def render_scene(
    walkers: Sequence[SceneWalker],
    camera: Camera,
    background: Image,
    frame_time: float,
    light: Light | None = None,
) -> tuple[Image, NDArray[np.bool_]]:
    """Render one moment.

    Args:
        walkers: K people, in any order; the nearer hides the farther.
        camera: gives H and W.
        background: uint8 [H, W, 3].
        frame_time: seconds.
        light: default light when None.

    Returns:
        RGB uint8 [H, W, 3] and what is visible of each person, with their load, bool [K, H, W].
    """
    light = light or Light()
    times = np.array([frame_time])
    drawings = [draw(walker.figure(times), camera, light.side) for walker in walkers]
    image = background.copy()
    visible = np.zeros((len(walkers), camera.height, camera.width), np.bool_)
    full = (0, 0, camera.width, camera.height)
    for index in sorted(range(len(walkers)), key=lambda k: -float(drawings[k].depth[0])):
        box = clip_box(drawings[index].boxes[0], full)
        if box is None or drawings[index].depth[0] < _NEAREST:
            continue
        x0, y0, x1, y1 = box
        mask = paint_person(drawings[index], walkers[index].outfit, 0, box, image[y0:y1, x0:x1])
        visible[:, y0:y1, x0:x1] &= mask == 0
        visible[index, y0:y1, x0:x1] = mask > 0
    return develop(image, light, int(frame_time * 1000)), visible


def silhouette_area(walker: SceneWalker, camera: Camera, frame_time: float) -> int:
    """Pixels that a person would fill without occlusion, beyond the picture's edge too."""
    drawing = draw(walker.figure(np.array([frame_time])), camera)
    box = clip_box(drawing.boxes[0], _ANYWHERE)
    if box is None or drawing.depth[0] < _NEAREST:
        return 0
    return int(np.count_nonzero(paint_labels(drawing, 0, box)[..., 0]))


def paint_person(drawing: Drawing, outfit: Outfit, frame: int, box: Box, target: Image) -> Image:
    """Paint one person into ``target``, the part of the picture inside ``box``.

    Returns:
        The person's mask in the box, 0 or 255.
    """
    canvas = paint_labels(drawing, frame, box)
    anchor = drawing.anchor[frame]
    coloured = colour(canvas, outfit, (int(anchor[0]) - box[0], int(anchor[1]) - box[1]))
    mask = cv2.threshold(canvas[..., 0], 0, 255, cv2.THRESH_BINARY)[1]
    cv2.copyTo(coloured, mask, target)
    return np.asarray(mask, dtype=np.uint8)


def clip_box(box: NDArray[np.float64], within: Box, margin: float = 1.0) -> Box | None:
    """Whole pixels around ``box`` inside ``within``, or None when nothing is left."""
    x0 = max(int(np.floor(box[0] - margin)), within[0])
    y0 = max(int(np.floor(box[1] - margin)), within[1])
    x1 = min(int(np.ceil(box[2] + margin)) + 1, within[2])
    y1 = min(int(np.ceil(box[3] + margin)) + 1, within[3])
    return (x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None


@lru_cache(maxsize=64)
def _noise_plane(level: int) -> NDArray[np.int8]:
    # One plane serves all: frames take pieces of it from different places.
    rng = np.random.default_rng(level)
    plane = np.round(rng.normal(0, level / 4, size=(720, 900, 3)))
    return np.clip(plane, -127, 127).astype(np.int8)


def develop(image: Image, light: Light, moment: int) -> Image:
    """Expose a painted frame: lens, colour of the light, noise; uint8 [H, W, 3] as it came."""
    if light.blur:
        image = cv2.blur(image, (2, 2))
    if light.gain != (1.0, 1.0, 1.0):
        table = np.arange(256)[:, None] * np.array(light.gain)
        image = cv2.LUT(image, np.clip(table, 0, 255).astype(np.uint8)[None])
    if light.noise > 0:
        plane = _noise_plane(round(4 * light.noise))
        height, width = image.shape[:2]
        if height > plane.shape[0] or width > plane.shape[1]:
            plane = np.tile(plane, (height // len(plane) + 1, width // plane.shape[1] + 1, 1))
        top = (moment * 7919) % (plane.shape[0] - height + 1)
        left = (moment * 104729) % (plane.shape[1] - width + 1)
        image = cv2.add(image, plane[top : top + height, left : left + width], dtype=cv2.CV_8U)
    return np.asarray(image, dtype=np.uint8)
