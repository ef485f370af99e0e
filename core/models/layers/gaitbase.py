"""GaitBase: the gait network on top (Fan et al., "OpenGait", CVPR 2023 / arXiv 2405.09138)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ResidualStage(nn.Module):
    """One basic residual block (He et al. 2016): two 3x3 convolutions and a shortcut."""

    def __init__(self, inner: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inner, out, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(out)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inner != out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inner, out, 1, stride, bias=False), nn.BatchNorm2d(out)
            )

    def forward(self, maps: Tensor) -> Tensor:
        """Map float [n, inner, h, w] to [n, out, h / stride, w / stride]."""
        hidden = F.relu(self.norm1(self.conv1(maps)))
        return F.relu(self.norm2(self.conv2(hidden)) + self.shortcut(maps))


class StripLinear(nn.Module):
    """A linear map of its own for each strip, without bias."""

    def __init__(self, strips: int, inner: int, out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(strips, inner, out))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, features: Tensor) -> Tensor:
        """Map float [B, inner, P] to [B, out, P]."""
        return torch.einsum("bip,pio->bop", features, self.weight)


class BNNeck(nn.Module):
    """Batch norm and a cosine classifier for each strip (Luo et al. 2019).

    Args:
        strips: P.
        width: Channels of a strip.
        classes: Training identities; 0 for inference of what stands before the classifier.
    """

    def __init__(self, strips: int, width: int, classes: int) -> None:
        super().__init__()
        self.strips, self.width = strips, width
        self.norm = nn.BatchNorm1d(width * strips)
        self.weight = None
        if classes:
            self.weight = nn.Parameter(torch.empty(strips, width, classes))
            nn.init.xavier_uniform_(self.weight)

    def features(self, embedding: Tensor) -> Tensor:
        """Embeddings float [B, width, P] behind the batch norm, each strip of length 1."""
        normed = self.norm(embedding.flatten(1)).unflatten(1, (self.width, self.strips))
        return F.normalize(normed, dim=1)

    def forward(self, embedding: Tensor) -> Tensor:
        """Cosine logits float [B, classes, P] in [-1, 1] of embeddings float [B, width, P]."""
        assert self.weight is not None, "a neck for inference has no classes"
        return torch.einsum(
            "bip,pic->bcp", self.features(embedding), F.normalize(self.weight, dim=1)
        )


class GaitBase(nn.Module):
    """Stem, four residual stages, max over time, horizontal strips, a linear map per strip.

    Args:
        inner: Channels of the maps that enter.
        channels: Channels of the four stages (64, 128, 256, 512), strides 1, 2, 2, 1.
        strips: P; must divide the height after the strides.
        embedding: Channels of a strip's embedding.
    """

    strides = (1, 2, 2, 1)

    def __init__(self, inner: int, channels: Sequence[int], strips: int, embedding: int) -> None:
        super().__init__()
        self.strips = strips
        self.stem = nn.Conv2d(inner, channels[0], 3, 1, 1, bias=False)
        self.stem_norm = nn.BatchNorm2d(channels[0])
        before = (channels[0], *channels[:-1])
        self.stages = nn.ModuleList(
            ResidualStage(i, o, s) for i, o, s in zip(before, channels, self.strides, strict=True)
        )
        self.embed = StripLinear(strips, channels[-1], embedding)

    def first_layer(self, maps: Tensor) -> Tensor:
        """What the first layer answers: float [n, inner, h, w] to [n, channels[0], h, w]."""
        return F.relu(self.stem_norm(self.stem(maps.contiguous(memory_format=torch.channels_last))))

    def frame_features(self, maps: Tensor) -> Tensor:
        """Features of frames: float [n, inner, h, w] to [n, channels[-1], h / 4, w / 4]."""
        hidden = self.first_layer(maps)
        for stage in self.stages:
            hidden = stage(hidden)
        return hidden

    def head(self, pooled: Tensor) -> Tensor:
        """Embeddings float [B, embedding, P] of time-pooled maps float [B, C, h, w]."""
        return cast(Tensor, self.embed(strip_pool(pooled, self.strips)))


def strip_pool(maps: Tensor, strips: int) -> Tensor:
    """Horizontal pyramid pooling at one scale: mean + max of each strip.

    Args:
        maps: float [B, C, h, w], h a multiple of ``strips``.
        strips: P.

    Returns:
        float [B, C, P], the top strip first.
    """
    rows = maps.unflatten(2, (strips, maps.shape[2] // strips)).flatten(3)
    return cast(Tensor, rows.mean(-1) + rows.amax(-1))
