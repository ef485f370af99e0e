"""MultiGait++: two parts, taken apart into what they share and what each has (Jin et al. 2024).

Images are float [.., C, H, W]; each part reads some of the channels. As published, the first reads
the silhouette and the parsing, the second the three colours of optical flow.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from core.models.layers.head import StripHead
from core.models.layers.output import GaitOutput
from core.models.layers.residual import BlockKind, GaitBackbone, ResidualStages
from core.models.layers.sequences import (
    frames_of,
    maximum_over_time,
    running_maxima,
    shrunk,
    with_context,
)
from core.models.multigaitpp.config import Ranges
from core.models.multigaitpp.fusion import CommonOwnFusion

# Channels of the fusion's bottlenecks, as a part of the first stage's.
_NARROWER = 16


class MultiGaitPP(nn.Module):
    """Two stems and first stages, C2 fusion, three streams of two stages, joined for the last.

    Args:
        parts: Which channels the first part reads, and the second: ranges of them.
        channels: Channels of the four stages.
        depths: Blocks of each stage.
        kind: Blocks of the stages after the first, whose own are 2-D.
        strips: P; must divide a quarter of the height.
        embedding: E, channels of a strip's embedding.
        classes: Training identities; 0 for inference, without BNNeck.
        shrink: Side of the squares of pixels that are averaged first.
    """

    def __init__(
        self,
        parts: tuple[Ranges, Ranges] = (((0, 2),), ((2, 5),)),
        channels: Sequence[int] = (64, 128, 256, 512),
        depths: Sequence[int] = (1, 1, 1, 1),
        kind: BlockKind = "p3d",
        strips: int = 16,
        embedding: int = 256,
        classes: int = 0,
        shrink: int = 1,
    ) -> None:
        super().__init__()
        self.parts, self.shrink = parts, shrink
        stem, *middle, last = channels
        widths = (sum(end - begin for begin, end in ranges) for ranges in parts)
        self.first, self.second = (GaitBackbone(width, [stem], depths[:1], [1]) for width in widths)
        self.fusion = CommonOwnFusion(stem, max(stem // _NARROWER, 1))
        # Of the first part alone, of both, of the second alone.
        self.streams = nn.ModuleList(
            ResidualStages(stem, middle, depths[1:3], (2, 2), [kind] * 2) for _ in range(3)
        )
        self.join = nn.Conv2d(3 * middle[-1], middle[-1], 1, bias=False)
        self.last = ResidualStages(middle[-1], [last], depths[3:], (1,), [kind])
        self.reach = cast(ResidualStages, self.streams[0]).reach + self.last.reach
        self.head = StripHead(last, strips, embedding, classes)

    def forward(self, images: Tensor) -> GaitOutput:
        """A training pass.

        Args:
            images: float [B, C, T, H, W] in [0, 1], T at least 1.

        Returns:
            The embedding [B, E, P], and the logits [B, classes, P] unless ``classes`` is 0.
        """
        clips = images.shape[0]
        features = self.frame_features(frames_of(images), clips)
        return cast(GaitOutput, self.head(maximum_over_time(features, clips)))

    def frame_features(self, frames: Tensor, clips: int) -> Tensor:
        """Features of frames float [B*T, C, H, W], clip by clip in time order; ``clips`` is B."""
        small = shrunk(frames, self.shrink)
        first, second = (
            torch.cat([small[:, begin:end] for begin, end in ranges], dim=1)
            for ranges in self.parts
        )
        shares = self.fusion(self.first(first, clips), self.second(second, clips))
        streams = [stream(share, clips) for stream, share in zip(self.streams, shares, strict=True)]
        return cast(Tensor, self.last(self.join(torch.cat(streams, dim=1)), clips))

    def embed(self, chunks: Iterable[Tensor]) -> Tensor:
        """The embedding of one whole sequence, in bounded memory; cuts do not change it.

        Args:
            chunks: float [t, C, H, W] each, in time order.

        Returns:
            float [E, P].

        Raises:
            ValueError: the sequence has no frames.
        """
        windows = with_context(chunks, self.reach)
        (pooled,) = running_maxima([w.inner(self.frame_features(w.frames, 1))] for w in windows)
        return self.head.embed(pooled)[0]
