"""Motion Temporal Capture Module (eq. 8-12) and the plain 3D-CNN that may replace it.

Maps are [B, C, T, h, w] here. All convolutions look at most ``reach`` frames aside, so a long
sequence may be cut into overlapping chunks without changing any value.
"""

from __future__ import annotations

from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PixelTemporal(nn.Module):
    """PTE: a 1-D convolution over time at each pixel, same length (eq. 8-9)."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        # A (k, 1, 1) 3-D kernel is Conv1d at every pixel without moving the pixels around.
        self.conv = nn.Conv3d(channels, channels, (kernel, 1, 1), padding=(kernel // 2, 0, 0))

    def forward(self, maps: Tensor) -> Tensor:
        """Map float [B, C, T, h, w] to the same shape."""
        return F.relu(self.conv(maps))


class RegionTemporal(nn.Module):
    """RTE: frame differences, zero-padded at the end, through a 3-D convolution (eq. 10-11).

    Args:
        channels: C in and out.
        kernel: Frames that the 3-D convolution spans; 3 pixels in space.
        difference: Take differences; else the maps themselves.
        conv3d: Convolve; else only the non-linearity.
    """

    def __init__(self, channels: int, kernel: int, difference: bool, conv3d: bool) -> None:
        super().__init__()
        self.difference = difference
        self.conv = (
            nn.Conv3d(channels, channels, (kernel, 3, 3), padding=(kernel // 2, 1, 1))
            if conv3d
            else None
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Map float [B, C, T, h, w] to the same shape."""
        if self.difference:
            maps = F.pad(maps[:, :, 1:] - maps[:, :, :-1], (0, 0, 0, 0, 0, 1))
        return F.relu(maps if self.conv is None else self.conv(maps))


class MotionTemporalCapture(nn.Module):
    """MTCM: Conv2d in, PTE and RTE side by side, joined by a Conv2d (eq. 12), residual.

    Args:
        channels: C in and out.
        kernel: Frames that each temporal convolution spans (odd).
        pte: Have the pixel-wise branch.
        difference: Have frame differences in the region-wise branch.
        conv3d: Have the 3-D convolution in the region-wise branch.
        join: ``concat`` then Conv2d (eq. 12), or ``add`` then Conv2d.
    """

    def __init__(
        self,
        channels: int,
        kernel: int = 3,
        *,
        pte: bool = True,
        difference: bool = True,
        conv3d: bool = True,
        join: Literal["concat", "add"] = "concat",
    ) -> None:
        super().__init__()
        self.join = join
        self.enter = nn.Conv3d(channels, channels, (1, 3, 3), padding=(0, 1, 1))
        self.pte = PixelTemporal(channels, kernel) if pte else None
        self.rte = (
            RegionTemporal(channels, kernel, difference, conv3d) if difference or conv3d else None
        )
        branches = (self.pte is not None) + (self.rte is not None)
        inner = channels * branches if join == "concat" else channels
        self.leave = nn.Conv3d(inner, channels, (1, 3, 3), padding=(0, 1, 1))
        # Zero at first: training starts from the maps themselves, and motion is added to them.
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(cast(Tensor, self.leave.bias))
        self.reach = kernel // 2 + int(difference)

    def forward(self, maps: Tensor) -> Tensor:
        """Map float [B, C, T, h, w] to the same shape."""
        hidden = F.relu(self.enter(maps))
        parts = [branch(hidden) for branch in (self.pte, self.rte) if branch is not None]
        joined = torch.cat(parts, dim=1) if self.join == "concat" else torch.stack(parts).sum(0)
        return maps + cast(Tensor, self.leave(joined))


class Plain3DCNN(nn.Module):
    """Two 3x3x3 convolutions with a residual: Table 4's replacement of MTCM."""

    reach = 2

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv3d(channels, channels, 3, padding=1)
        self.second = nn.Conv3d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(cast(Tensor, self.second.bias))

    def forward(self, maps: Tensor) -> Tensor:
        """Map float [B, C, T, h, w] to the same shape."""
        return maps + cast(Tensor, self.second(F.relu(self.first(maps))))


class NoTemporal(nn.Module):
    """Leaves the maps as they are."""

    reach = 0

    def forward(self, maps: Tensor) -> Tensor:
        """Return ``maps``."""
        return maps
