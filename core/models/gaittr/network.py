"""Gait-TR: convolutions over time and attention between the joints of a frame (Zhang et al. 2023).

Features are [B, C, T, V]: channels, frames and joints.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.models.layers.output import GaitOutput
from core.models.layers.poses import JointNorm, gathered
from core.models.layers.sequences import with_context
from core.models.layers.skeleton import JOINTS, bones, steps_ahead

CHANNELS = 10
WINDOW = 9  # frames of a convolution over time
_AHEAD = 2  # frames that velocities look ahead
_CHUNK = 256  # frames of one sequence that are embedded at once


class JointAttention(nn.Module):
    """Attention between the joints of each frame; no graph.

    Args:
        inner: Channels that enter.
        out: Channels that leave, of the values too; queries and keys have a quarter.
        heads: Of the attention; must divide a quarter of ``out``.
    """

    def __init__(self, inner: int, out: int, heads: int) -> None:
        super().__init__()
        self.heads, self.sizes = heads, (out // 4, out // 4, out)
        self.norm = JointNorm(inner, JOINTS)
        self.maps = nn.Conv2d(inner, sum(self.sizes), 1)
        self.join = nn.Conv2d(out, out, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Map float [B, inner, T, V] to [B, out, T, V]."""
        mapped = self.maps(self.norm(features)).split(self.sizes, dim=1)
        query, key, value = (part.unflatten(1, (self.heads, -1)) for part in mapped)
        scores = torch.einsum("bhctv,bhctw->bhtvw", query * query.shape[2] ** -0.5, key)
        taken = torch.einsum("bhtvw,bhctw->bhctv", scores.softmax(-1), value)
        return cast(Tensor, self.join(taken.flatten(1, 2)))


class GaitTRBlock(nn.Module):
    """``h = BN(Mish(time(x))) + x``, then ``BN(Mish(attention(h))) + shortcut(h) + outer(x)``.

    Either shortcut is nothing but its input where the number of channels stays.

    Args:
        inner: Channels that enter.
        out: Channels that leave.
        heads: Of the attention.
        dropout: Share of what enters the convolution over time that is set to zero in training.
    """

    def __init__(self, inner: int, out: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.time = nn.Conv2d(inner, inner, (WINDOW, 1), padding=(WINDOW // 2, 0))
        self.time_norm = nn.BatchNorm2d(inner)
        self.attention, self.norm = JointAttention(inner, out, heads), nn.BatchNorm2d(out)
        self.shortcut: nn.Module = nn.Identity()
        self.outer: nn.Module = nn.Identity()
        if inner != out:
            self.shortcut = nn.Sequential(nn.Conv2d(inner, out, 1), nn.BatchNorm2d(out))
            self.outer = nn.Sequential(nn.Conv2d(inner, out, 1), nn.Mish(), nn.BatchNorm2d(out))

    def forward(self, features: Tensor) -> Tensor:
        """Map float [B, inner, T, V] to [B, out, T, V]."""
        hidden = self.time_norm(F.mish(self.time(self.dropout(features)))) + features
        attended = self.norm(F.mish(self.attention(hidden)))
        return cast(Tensor, attended + self.shortcut(hidden) + self.outer(features))


class GaitTR(nn.Module):
    """Blocks on ten channels of a pose, mean over frames and joints, a linear map.

    Args:
        channels: Channels of the blocks.
        heads: Of each block's attention.
        embedding: E.
        dropout: Before convolutions over time.
    """

    def __init__(
        self,
        channels: Sequence[int] = (64, 64, 128, 256),
        heads: int = 8,
        embedding: int = 128,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.norm = JointNorm(CHANNELS, JOINTS)
        before = (CHANNELS, *channels[:-1])
        self.blocks = nn.Sequential(
            *(GaitTRBlock(i, o, heads, dropout) for i, o in zip(before, channels, strict=True))
        )
        self.linear = nn.Linear(channels[-1], embedding)
        self.reach = _AHEAD + len(channels) * (WINDOW // 2)

    def forward(self, poses: Tensor) -> GaitOutput:
        """A training pass.

        Args:
            poses: float [B, T, 17, 3]: x, y in pixels; the confidence is not used. T at least 1.

        Returns:
            The embedding [B, E, 1]. No logits.
        """
        return GaitOutput(self.linear(self.features(poses).mean(dim=(2, 3)))[..., None], None)

    def represent(self, poses: Tensor) -> Tensor:
        """What is compared at test: embeddings float [B, E, 1] of clips."""
        return self(poses).embedding  # type: ignore[no-any-return]

    def features(self, poses: Tensor) -> Tensor:
        """Features float [B, C, T, V] of poses float [B, T, V, 3]."""
        return cast(Tensor, self.blocks(self.norm(pose_channels(poses))))

    def embed(self, chunks: Iterable[Tensor]) -> Tensor:
        """The embedding of one whole sequence, in bounded memory but for the poses themselves.

        Args:
            chunks: float [t, 17, 3] each, in time order; cuts change nothing.

        Returns:
            float [E, 1].

        Raises:
            ValueError: the sequence has no frames.
        """
        poses = gathered(chunks)
        means = [
            window.inner(self.features(window.frames[None])[0].mean(2).mT)
            for window in with_context(poses.split(_CHUNK), self.reach)
        ]
        return cast(Tensor, self.linear(torch.cat(means).mean(0)))[:, None]


def pose_channels(poses: Tensor) -> Tensor:
    """Ten channels of poses.

    x and y of joints, of joints from the nose, over one frame and over two frames (zero in the last
    two frames), and of bones.

    Args:
        poses: float [B, T, 17, 3].

    Returns:
        float [B, 10, T, 17].
    """
    points = poses[..., :2]
    parts = (
        points,
        points - points[:, :, :1],
        steps_ahead(points, 1),
        steps_ahead(points, 2),
        bones(points),
    )
    return torch.cat(parts, dim=-1).permute(0, 3, 1, 2)
