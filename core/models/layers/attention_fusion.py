"""Two feature maps joined by weights that they give each other."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class AttentionFusion(nn.Module):
    """Channel-wise attention over two maps (SkeletonGait++, Fan et al. 2024; BigGait, Ye et al.).

    Both maps side by side pass a bottleneck, 1x1, 3x3 and 1x1; of its 2 C channels, a softmax over
    each pair gives the weights of the two maps, at each channel and pixel.

    Args:
        channels: C of either map.
        hidden: Channels of the bottleneck.
        interleaved: The pair of channel c is (2c, 2c + 1), as BigGait reads it; else (c, C + c), as
            SkeletonGait++ does. One's weights are the other's in another order.
    """

    def __init__(self, channels: int, hidden: int, *, interleaved: bool) -> None:
        super().__init__()
        self.channels, self.interleaved = channels, interleaved
        self.weigh = nn.Sequential(
            nn.Conv2d(2 * channels, hidden, 1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU(),
            nn.Conv2d(hidden, hidden, 3, padding=1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU(),
            nn.Conv2d(hidden, 2 * channels, 1, bias=False),
        )

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Fuse two maps float [n, C, h, w] into one of the same shape."""
        scores = self.weigh(torch.cat([first, second], dim=1))
        if self.interleaved:
            pairs = scores.unflatten(1, (self.channels, 2)).transpose(1, 2)
        else:
            pairs = scores.unflatten(1, (2, self.channels))
        weights = torch.softmax(pairs, dim=1)
        return first * weights[:, 0] + second * weights[:, 1]
