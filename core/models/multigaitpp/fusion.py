"""What two feature maps have in common, and what each has of its own (Jin et al. 2024)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

# So that the scale of a pixel whose channels all agree is not divided by zero.
_EPSILON = 1e-6


class Shares(NamedTuple):
    """Maps float [n, C, h, w] that two maps are taken apart into.

    Attributes:
        first: What the first map has of its own.
        common: What both have in common.
        second: What the second map has of its own.
    """

    first: Tensor
    common: Tensor
    second: Tensor


class CommonOwnFusion(nn.Module):
    """The C2 fusion of MultiGait++: two maps become their commonalities and differences.

    Each map passes a bottleneck of its own, of 1x1 convolutions; a softmax over the two answers at
    each channel and pixel gives the scores s1 and s2 of the maps. Where both are large the maps
    agree: m = min(s1, s2), brought to 0 to 1 over the channels of each pixel. Common is the mean of
    the maps times m, and each map's own is the map times (1 - m) times its score.

    Args:
        channels: C of either map.
        hidden: Channels of the bottlenecks.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.first, self.second = (_bottleneck(channels, hidden) for _ in range(2))

    def forward(self, first: Tensor, second: Tensor) -> Shares:
        """Take two maps float [n, C, h, w] apart."""
        answers = torch.stack([self.first(first), self.second(second)])
        scores = torch.softmax(answers, dim=0)
        agreement = scores.amin(0)
        low, high = agreement.amin(1, keepdim=True), agreement.amax(1, keepdim=True)
        agreement = (agreement - low) / (high - low + _EPSILON)
        own = 1 - agreement
        return Shares(
            first * own * scores[0],
            (first + second) / 2 * agreement,
            second * own * scores[1],
        )


def _bottleneck(channels: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, hidden, 1, bias=False),
        nn.BatchNorm2d(hidden),
        nn.ReLU(),
        nn.Conv2d(hidden, hidden, 1, bias=False),
        nn.BatchNorm2d(hidden),
        nn.ReLU(),
        nn.Conv2d(hidden, channels, 1, bias=False),
    )
