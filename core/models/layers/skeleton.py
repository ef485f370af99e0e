"""Joints of COCO-17 and how they hang together.

0 nose, 1 and 2 eyes, 3 and 4 ears, 5 and 6 shoulders, 7 and 8 elbows, 9 and 10 wrists, 11 and 12
hips, 13 and 14 knees, 15 and 16 ankles; the left one has the odd number.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from core.records import POSE_SHAPE

JOINTS = POSE_SHAPE[0]
EDGES = (
    (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 6), (5, 7), (7, 9), (6, 8), (8, 10),
    (5, 11), (6, 12), (11, 12), (11, 13), (13, 15), (12, 14), (14, 16),
)  # fmt: skip
# The joint that each one's bone begins at. The nose's is the left shoulder, as in OpenGait.
PARENTS = (5, 0, 0, 1, 2, 0, 0, 5, 6, 7, 8, 5, 6, 11, 12, 13, 14)


def picked(features: Tensor, joints: Sequence[int], dim: int) -> Tensor:
    """Some joints of features, in this order, along ``dim``."""
    # A list as index would be a tensor that is copied to the device, which waits for it.
    return torch.stack([features.select(dim, joint) for joint in joints], dim)


def bones(points: Tensor) -> Tensor:
    """Vectors from each joint's parent to it: float [..., 17, 2] of points float [..., 17, 2]."""
    return points - picked(points, PARENTS, -2)


def steps_ahead(points: Tensor, steps: int) -> Tensor:
    """How far joints move in ``steps`` frames; nothing in the last two frames of a clip.

    Args:
        points: float [B, T, V, 2].
        steps: 1 or 2.
    """
    frames = points.shape[1]
    times = torch.arange(frames, device=points.device)
    ahead = points[:, (times + steps).clamp(max=frames - 1)] - points
    return ahead * (times < frames - 2)[:, None, None]


def hop_adjacency(edges: Sequence[tuple[int, int]], joints: int, hops: int) -> Tensor:
    """Which joints are how many edges apart, each joint's column divided by its neighbours' number.

    Neighbours are all joints at most ``hops`` edges away, itself included (Yan et al. 2018, ST-GCN,
    "distance" partition).

    Args:
        edges: Pairs of joints; both ways.
        joints: V.
        hops: The farthest.

    Returns:
        float32 [hops + 1, V, V]; joint v gives to joint w in row v and column w of matrix k, where
        they are k edges apart. A column sums to one over all matrices.
    """
    step = torch.zeros(joints, joints)
    for first, second in edges:
        step[first, second] = step[second, first] = 1
    reached = torch.eye(joints)
    apart = [reached]
    for _ in range(hops):
        wider = ((reached + reached @ step) > 0).float()
        apart.append(wider - reached)
        reached = wider
    return torch.stack(apart) / reached.sum(0)
