"""Poses of clips and sequences: float [..., T, 17, 3], x and y in pixels, confidence."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn


class JointNorm(nn.Module):
    """Batch norm in which each channel of each joint has statistics of its own.

    Args:
        channels: C.
        joints: V.
    """

    def __init__(self, channels: int, joints: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(channels * joints)

    def forward(self, features: Tensor) -> Tensor:
        """Normalise float [B, C, T, V] over clips and frames."""
        flat = self.norm(features.transpose(2, 3).flatten(1, 2))
        return cast(Tensor, flat.unflatten(1, (features.shape[1], -1))).transpose(2, 3)


def gathered(chunks: Iterable[Tensor]) -> Tensor:
    """Poses [T, 17, 3] of a whole sequence; a frame is 204 bytes, so that all are at hand at once.

    Args:
        chunks: float [t, 17, 3] each, in time order; t may be zero, and may differ.

    Raises:
        ValueError: the sequence has no frames.
    """
    parts = list(chunks)
    if not sum(len(part) for part in parts):
        raise ValueError("a sequence without frames has no embedding")
    return torch.cat(parts)


def middle_frames(poses: Tensor, frames: int) -> Tensor:
    """The ``frames`` in the middle of clips [B, T, 17, 3]; shorter ones repeat from their first."""
    total = poses.shape[1]
    first = torch.sym_max((total - frames) // 2, 0)
    times = torch.arange(frames, device=poses.device) + first
    # By a tensor: ONNX has no remainder by a number that is not known before.
    return poses[:, times.remainder(torch.full_like(times, total))]


def filled_joints(poses: Tensor) -> Tensor:
    """Poses whose missing joints, x and y both 0, lie in the middle of the frame's other joints.

    Their confidence stays. A frame without any joint stays as it is.

    Args:
        poses: float [..., 17, 3].
    """
    points = poses[..., :2]
    present = (points != 0).any(-1, keepdim=True)
    number = present.sum(-2, keepdim=True).clamp(min=1)
    middle = points.sum(-2, keepdim=True) / number  # what is missing adds nothing
    return torch.cat([torch.where(present, points, middle), poses[..., 2:]], dim=-1)
