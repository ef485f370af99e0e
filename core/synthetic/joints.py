"""Exact poses of walkers: COCO's joints as projected by the camera."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.synthetic.identity import Body
from core.synthetic.motion import Pose
from core.synthetic.shot import FPS, Shot, crop_of

Array = NDArray[np.float64]

# Nose, eyes and ears from the middle of the head, in heights of the head: forward, left, up.
_FACE = np.array(
    [
        [0.46, 0.0, -0.06],
        [0.40, 0.14, 0.06],
        [0.40, -0.14, 0.06],
        [0.02, 0.33, 0.0],
        [0.02, -0.33, 0.0],
    ]
)


def skeleton_joints(skeleton: Pose, body: Body) -> Array:
    """COCO's 17 joints float64 [T, 17, 3] of a skeleton, in its own coordinates (metres)."""
    face = skeleton.head[:, None] + np.einsum("tij,kj->tki", skeleton.head_axes, _FACE * body.head)
    pairs = (
        skeleton.shoulders,
        skeleton.elbows,
        skeleton.wrists,
        skeleton.hips,
        skeleton.knees,
        skeleton.ankles,
    )
    return np.concatenate([face, *pairs], axis=1)


def shot_poses(shot: Shot) -> NDArray[np.float32]:
    """The poses of a shot, float32 [T, 17, 3].

    x and y are pixels of the frame as it is delivered, whole or a crop (its upper left corner is
    0, 0); the confidence is 1 of all joints, hidden ones too.
    """
    frames = len(shot.drawing.boxes)
    skeleton = shot.walker.skeleton(np.arange(frames) / FPS)
    pixels, _ = shot.camera.project(skeleton_joints(skeleton, shot.walker.body))
    corners = np.array([crop_of(shot, frame)[:2] for frame in range(frames)]) + shot.origin
    poses = np.ones((frames, 17, 3))
    poses[..., :2] = pixels - corners[:, None]
    return poses.astype(np.float32)
