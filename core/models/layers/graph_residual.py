"""The residual graph network of GaitGraph2 (Song et al. 2020, ResGCN).

Features are [B, C, T, V]: channels, frames and joints.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WINDOW = 9  # frames of a convolution over time


class HopConvolution(nn.Module):
    """Graph convolution: a linear map for each distance in edges, summed over joints and distances.

    Args:
        inner: Channels that enter.
        out: Channels that leave.
        hops: The farthest joints; the joint itself counts as one distance more.
    """

    def __init__(self, inner: int, out: int, hops: int = 2) -> None:
        super().__init__()
        self.distances = hops + 1
        self.maps = nn.Conv2d(inner, self.distances * out, 1)

    def forward(self, features: Tensor, adjacency: Tensor) -> Tensor:
        """Map float [B, inner, T, V] to [B, out, T, V].

        Args:
            features: Of the joints.
            adjacency: float [K, V, V], K above ``hops``; row v and column w of matrix k is what
                joint w takes of joint v, k edges away.
        """
        mapped = self.maps(features).unflatten(1, (self.distances, -1))
        return torch.einsum("bkctv,kvw->bctw", mapped, adjacency[: self.distances])


class SpatialBasic(nn.Module):
    """Graph convolution, batch norm, ReLU."""

    def __init__(self, inner: int, out: int) -> None:
        super().__init__()
        self.conv, self.norm = HopConvolution(inner, out), nn.BatchNorm2d(out)

    def forward(self, features: Tensor, adjacency: Tensor) -> Tensor:
        """Map float [B, inner, T, V] to [B, out, T, V]."""
        return F.relu(self.norm(self.conv(features, adjacency)))


class TemporalBasic(nn.Module):
    """Convolution over nine frames, batch norm, ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, (WINDOW, 1), padding=(WINDOW // 2, 0))
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, features: Tensor) -> Tensor:
        """Map float [B, C, T, V] to the same shape."""
        return F.relu(self.norm(self.conv(features)))


class SpatialBottleneck(nn.Module):
    """Graph convolution between two 1x1 convolutions, and a shortcut.

    Args:
        inner: Channels that enter.
        out: Channels that leave.
        reduction: By how much the middle has fewer channels than leave.
    """

    def __init__(self, inner: int, out: int, reduction: int) -> None:
        super().__init__()
        middle = out // reduction
        self.down, self.down_norm = nn.Conv2d(inner, middle, 1), nn.BatchNorm2d(middle)
        self.conv, self.norm = HopConvolution(middle, middle), nn.BatchNorm2d(middle)
        self.up, self.up_norm = nn.Conv2d(middle, out, 1), nn.BatchNorm2d(out)
        self.shortcut = _shortcut(inner, out, stride=1)

    def forward(self, features: Tensor, adjacency: Tensor) -> Tensor:
        """Map float [B, inner, T, V] to [B, out, T, V]."""
        hidden = F.relu(self.down_norm(self.down(features)))
        hidden = F.relu(self.norm(self.conv(hidden, adjacency)))
        return F.relu(self.up_norm(self.up(hidden)) + self.shortcut(features))


class TemporalBottleneck(nn.Module):
    """Convolution over nine frames between two 1x1 convolutions, and a shortcut.

    Args:
        channels: Channels that enter and leave.
        reduction: By how much the middle has fewer.
        stride: Of time.
    """

    def __init__(self, channels: int, reduction: int, stride: int) -> None:
        super().__init__()
        middle, around = channels // reduction, (WINDOW // 2, 0)
        self.down, self.down_norm = nn.Conv2d(channels, middle, 1), nn.BatchNorm2d(middle)
        self.conv = nn.Conv2d(middle, middle, (WINDOW, 1), (stride, 1), around)
        self.norm = nn.BatchNorm2d(middle)
        self.up, self.up_norm = nn.Conv2d(middle, channels, 1), nn.BatchNorm2d(channels)
        self.shortcut = _shortcut(channels, channels, stride)

    def forward(self, features: Tensor) -> Tensor:
        """Map float [B, C, T, V] to [B, C, T / stride, V], T / stride rounded up."""
        hidden = F.relu(self.down_norm(self.down(features)))
        hidden = F.relu(self.norm(self.conv(hidden)))
        return F.relu(self.up_norm(self.up(hidden)) + self.shortcut(features))


class GraphModule(nn.Module):
    """A spatial and a temporal block, on a graph whose edges have learnt weights.

    Args:
        inner: Channels that enter.
        out: Channels that leave.
        adjacency: float [K, V, V], of the skeleton; weights of its edges begin at one.
        reduction: Of bottleneck blocks with shortcuts; None: basic blocks without.
        stride: Of time, with bottleneck blocks.
    """

    adjacency: Tensor

    def __init__(
        self, inner: int, out: int, adjacency: Tensor, reduction: int | None, stride: int = 1
    ) -> None:
        super().__init__()
        self.register_buffer("adjacency", adjacency.clone(), persistent=False)
        self.edges = nn.Parameter(torch.ones_like(adjacency))
        if reduction is None:
            self.spatial: nn.Module = SpatialBasic(inner, out)
            self.temporal: nn.Module = TemporalBasic(out)
        else:
            self.spatial = SpatialBottleneck(inner, out, reduction)
            self.temporal = TemporalBottleneck(out, reduction, stride)

    def forward(self, features: Tensor) -> Tensor:
        """Map float [B, inner, T, V] to [B, out, T / stride, V]."""
        hidden = self.spatial(features, self.adjacency * self.edges)
        return cast(Tensor, self.temporal(hidden))


def _shortcut(inner: int, out: int, stride: int) -> nn.Module:
    if inner == out and stride == 1:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(inner, out, 1, (stride, 1)), nn.BatchNorm2d(out))
