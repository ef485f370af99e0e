"""GaitSet: a sequence as a set of silhouettes (Chao et al., AAAI 2019 / TPAMI 2022)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.models.layers.gaitbase import StripLinear
from core.models.layers.head import pyramid_pool
from core.models.layers.output import GaitOutput
from core.models.layers.sequences import (
    frames_of,
    maximum_over_time,
    running_maxima,
    shrunk,
    with_context,
)


class ConvolutionPair(nn.Module):
    """Two convolutions without bias, each with a leaky ReLU, and a 2x2 maximum after them.

    Args:
        inner: Channels that enter.
        out: Channels of both convolutions.
        kernel: Side of the first one's kernel; the second's is 3.
        pool: Have the maximum, which halves height and width.
    """

    def __init__(self, inner: int, out: int, *, kernel: int = 3, pool: bool) -> None:
        super().__init__()
        self.pool = pool
        self.conv1 = nn.Conv2d(inner, out, kernel, padding=kernel // 2, bias=False)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        """Map float [n, inner, h, w] to [n, out, h, w], or [n, out, h / 2, w / 2] with ``pool``."""
        hidden = F.leaky_relu(self.conv2(F.leaky_relu(self.conv1(maps), 0.01)), 0.01)
        return F.max_pool2d(hidden, 2) if self.pool else hidden


class GaitSet(nn.Module):
    """Frame branch, set branch (multilayer global pipeline) and pyramid of strips on both.

    Neither the order of frames nor their number of repetitions matters: all that joins frames is a
    maximum. There is no classifier; training is by the triplet loss alone.

    Args:
        inner: Channels of the silhouettes.
        channels: Channels of the three pairs of convolutions.
        scales: Numbers of strips; each must divide a quarter of the height.
        embedding: E, channels of a strip's embedding.
        shrink: Side of the squares of pixels that are averaged first.
    """

    def __init__(
        self,
        inner: int = 1,
        channels: Sequence[int] = (32, 64, 128),
        scales: Sequence[int] = (16, 8, 4, 2, 1),
        embedding: int = 256,
        shrink: int = 1,
    ) -> None:
        super().__init__()
        self.shrink = shrink
        first, second, third = channels
        self.scales = tuple(scales)
        self.frame1 = ConvolutionPair(inner, first, kernel=5, pool=True)
        self.frame2 = ConvolutionPair(first, second, pool=True)
        self.frame3 = ConvolutionPair(second, third, pool=False)
        self.set2 = ConvolutionPair(first, second, pool=True)
        self.set3 = ConvolutionPair(second, third, pool=False)
        self.linear = StripLinear(2 * sum(self.scales), third, embedding)

    def forward(self, silhouettes: Tensor) -> GaitOutput:
        """A training pass.

        Args:
            silhouettes: float [B, inner, T, H, W] in [0, 1], H and W multiples of 4, T at least 1.

        Returns:
            The embedding [B, E, P] with P twice the sum of ``scales`` (62): strips of the frames'
            branch, scale by scale, then those of the set's. No logits.
        """
        clips = silhouettes.shape[0]
        frames = self.frame_features(frames_of(silhouettes))
        return GaitOutput(self.head([maximum_over_time(part, clips) for part in frames]), None)

    def embed(self, chunks: Iterable[Tensor]) -> Tensor:
        """The embedding of one whole sequence, in bounded memory; cuts do not change it.

        Args:
            chunks: float [t, inner, H, W] each, silhouettes in [0, 1].

        Returns:
            float [E, P].

        Raises:
            ValueError: the sequence has no frames.
        """
        windows = with_context(chunks, 0)
        return self.head(running_maxima(self.frame_features(w.frames) for w in windows))[0]

    def frame_features(self, frames: Tensor) -> list[Tensor]:
        """Features of frames float [n, inner, H, W] after each of the frame branch's pairs.

        Returns:
            float [n, channels[i], H / s, W / s] with s = 2, 4, 4 times ``shrink``.
        """
        frames = shrunk(frames, self.shrink)
        first = self.frame1(frames.contiguous(memory_format=torch.channels_last))
        second = self.frame2(first)
        return [first, second, self.frame3(second)]

    def head(self, pooled: Sequence[Tensor]) -> Tensor:
        """Embeddings float [B, E, P] of the maxima over time of the three frame features."""
        first, second, third = pooled
        whole = self.set3(self.set2(first) + second) + third
        strips = [pyramid_pool(maps, self.scales) for maps in (third, whole)]
        return cast(Tensor, self.linear(torch.cat(strips, dim=2)))
