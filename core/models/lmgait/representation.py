"""Representation Extractor: decoder branch (silhouettes) and ResNet branch (appearance maps).

After BigGait (Ye et al. 2024), which LMGait names as its source.
"""

from __future__ import annotations

from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.models.layers.patch_maps import to_map
from core.records import FOREGROUND


class DecoderBranch(nn.Module):
    """Two-channel silhouette logits from patch features; channel 1 is the foreground, always.

    The patch grid is refined by ``upsample`` inside each patch (sub-pixel convolution, Shi et al.
    2016), so the silhouette is finer than the grid at hardly any cost.

    Args:
        channels: C of the patch features.
        width: Hidden channels.
        grid: Rows and columns of patches.
        upsample: Output pixels per patch and side.
    """

    def __init__(self, channels: int, width: int, grid: tuple[int, int], upsample: int) -> None:
        super().__init__()
        self.grid = grid
        self.reduce = nn.Linear(channels, width)
        self.mix = nn.Conv2d(width, width, 3, padding=1)
        self.predict = nn.Conv2d(width, 2 * upsample * upsample, 1)
        self.shuffle = nn.PixelShuffle(upsample)

    def forward(self, patches: Tensor) -> Tensor:
        """Logits float [n, 2, h, w] of patch features float [n, N, C]."""
        hidden = to_map(F.gelu(self.reduce(patches)), self.grid)
        hidden = hidden + F.gelu(self.mix(hidden))
        return cast(Tensor, self.shuffle(self.predict(hidden)))


class ResNetBranch(nn.Module):
    """Residual 1x1/3x3 block from masked patch features to a few smooth channels.

    The first 1x1 projection runs on the patch grid and its output is upsampled and masked then: a
    1x1 projection without bias commutes with both, at a quarter of the work.

    Args:
        channels: C of the patch features.
        hidden: Channels inside the block.
        out: Output channels.
        grid: Rows and columns of patches.
        upsample: Output pixels per patch and side.
        activation: Softmax over the channels, or a sigmoid in each.
    """

    def __init__(
        self,
        channels: int,
        hidden: int,
        out: int,
        grid: tuple[int, int],
        upsample: int,
        activation: Literal["softmax", "sigmoid"],
    ) -> None:
        super().__init__()
        self.grid, self.upsample, self.activation = grid, upsample, activation
        self.reduce = nn.Linear(channels, hidden, bias=False)
        self.norm1 = nn.BatchNorm2d(hidden)
        self.conv = nn.Conv2d(hidden, hidden, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(hidden)
        self.expand = nn.Conv2d(hidden, out, 1)
        # Flat at first: the maps start as the mask alone, and appearance is added to the shape.
        nn.init.zeros_(self.expand.weight)
        nn.init.zeros_(cast(Tensor, self.expand.bias))

    def forward(self, patches: Tensor, mask: Tensor) -> Tensor:
        """Appearance maps.

        Args:
            patches: float [n, N, C].
            mask: float [n, 1, h, w] in [0, 1], the foreground's probability.

        Returns:
            float [n, out, h, w] in [0, 1]; with softmax the channels sum to one.
        """
        coarse = to_map(self.reduce(patches), self.grid)
        fine = F.interpolate(
            coarse, scale_factor=float(self.upsample), mode="bilinear", align_corners=False
        )
        hidden = F.relu(self.norm1(fine * mask))
        hidden = F.relu(hidden + self.norm2(self.conv(hidden)))
        logits = self.expand(hidden)
        return torch.softmax(logits, 1) if self.activation == "softmax" else torch.sigmoid(logits)


def foreground(logits: Tensor) -> Tensor:
    """Foreground probability [n, 1, h, w] of silhouette logits [n, 2, h, w]."""
    return torch.softmax(logits, dim=1)[:, FOREGROUND : FOREGROUND + 1]
