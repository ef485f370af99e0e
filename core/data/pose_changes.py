"""Random changes of training clips of poses. Missing joints, all zeros, stay missing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.inputs import NoisyPoseInput

Poses = NDArray[np.float32]

# Of each joint of COCO-17, the one on the other side.
MIRRORED_JOINTS = (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15)


def change_poses(
    poses: Poses, random: np.random.Generator, *, settings: NoisyPoseInput, flip: float
) -> Poses:
    """A clip changed at random: backwards, sides renamed, moved, and with noise; in this order.

    Args:
        poses: float32 [T, 17, 3].
        random: Where all draws come from.
        settings: How likely and how large changes are.
        flip: Probability that left and right joints change names in the whole clip.

    Returns:
        float32 [T, 17, 3].
    """
    frames, joints = poses.shape[:2]
    if random.random() < settings.reverse:
        poses = poses[::-1]
    whole = random.random() < flip
    each = np.asarray(random.random(frames) < settings.mirror_frames)
    mirrored = (each != whole)[:, None, None]
    changed = np.where(mirrored, poses[:, MIRRORED_JOINTS], poses)
    move = (2 * random.random(2) - 1) * settings.shift
    move = move + settings.joint_noise * random.standard_normal((joints, 2))
    move = move + settings.point_noise * random.standard_normal((frames, joints, 2))
    points = changed[..., :2]
    present = (points != 0).any(axis=2, keepdims=True)
    changed[..., :2] = np.where(present, points + move, points)
    return changed
