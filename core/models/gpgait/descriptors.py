"""What GPGait makes of a pose: one place, size and direction, then joints, bones and angles."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from core.models.layers.skeleton import bones, picked

Turn = Literal["off", "published", "exact"]

HEIGHT = 225.0  # from the highest to the lowest joint
FIRST_ANGLE = 5  # joints before it, of the head, have no angle
_SHOULDERS, _HIPS = [5, 6], [11, 12]
# For joints 5 to 16: the joints that its angle lies between. A wrist or an ankle, at an end, has
# the angle of its bone to the vertical.
_BETWEEN = {
    5: (7, 11), 6: (8, 12), 7: (5, 9), 8: (6, 10), 11: (5, 13), 12: (6, 14), 13: (11, 15),
    14: (12, 16),
}  # fmt: skip
_ENDS = (9, 10, 15, 16)
_TINY = 1e-6


def placed(poses: Tensor, turn: Turn) -> Tensor:
    """Points with the neck in the origin and 225 between the highest and the lowest joint.

    The neck is the middle of the shoulders. A frame whose joints lie in one row keeps its size.

    Args:
        poses: float [..., 17, 3].
        turn: Whether each frame is turned about the neck first, so that the middle of the hips lies
            below it. ``published``: y is computed from the x that is turned already, which bends
            the figure; the authors' results on CCPG are of this. ``exact``: as meant.

    Returns:
        float [..., 17, 2].
    """
    points = poses[..., :2]
    points = points - _middle(points, _SHOULDERS)
    if turn != "off":
        points = _turned(points, exact=turn == "exact")
    rows = points[..., 1]
    height = (rows.amax(-1) - rows.amin(-1))[..., None, None]
    return points * torch.where(height > 0, HEIGHT / height.clamp(min=_TINY), 1.0)


def _turned(points: Tensor, *, exact: bool) -> Tensor:
    down_x, down_y = _middle(points, _HIPS).unbind(-1)
    angle = torch.atan2(down_x, down_y)
    x, y = points.unbind(-1)
    turned = angle.cos() * x - angle.sin() * y
    return torch.stack([turned, angle.sin() * (x if exact else turned) + angle.cos() * y], dim=-1)


def _middle(points: Tensor, joints: list[int]) -> Tensor:
    return picked(points, joints, -2).mean(-2, keepdim=True)


def angles(points: Tensor) -> Tensor:
    """Angles of joints 5 to 16, float [..., 12] of points float [..., 17, 2].

    Pi less the angle between the two lines to the neighbours, by the law of cosines; of wrists and
    ankles, the angle of the bone to the vertical.
    """
    here = picked(points, tuple(_BETWEEN), -2)
    first, second = (picked(points, side, -2) for side in zip(*_BETWEEN.values(), strict=True))
    a, b, c = _length(first - here), _length(second - here), _length(first - second)
    inner = torch.pi - _arccos((a**2 + b**2 - c**2) / 2, a * b)
    bone = picked(bones(points), _ENDS, -2)
    outer = _arccos(bone[..., 1], _length(bone))
    places = [*_BETWEEN, *_ENDS]
    order = [places.index(joint) for joint in sorted(places)]
    return picked(torch.cat([inner, outer], dim=-1), order, -1)


def _length(vectors: Tensor) -> Tensor:
    return vectors.square().sum(-1).sqrt()


def _arccos(part: Tensor, whole: Tensor) -> Tensor:
    """Arccos of ``part / whole``; of nothing where ``whole`` is nothing."""
    return torch.acos((part / whole.clamp(min=_TINY)).clamp(-1, 1))


def descriptors(poses: Tensor, turn: Turn) -> tuple[Tensor, Tensor, Tensor]:
    """What the three branches read.

    Args:
        poses: float [B, T, 17, 3].
        turn: See :func:`placed`.

    Returns:
        Joints float [B, 2, T, 17], bones float [B, 2, T, 17], angles float [B, 1, T, 12].
    """
    points = placed(poses, turn)
    joints, edges = (part.permute(0, 3, 1, 2) for part in (points, bones(points)))
    return joints, edges, angles(points)[:, None]
