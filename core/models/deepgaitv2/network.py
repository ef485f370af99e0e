"""DeepGaitV2: GaitBase's skeleton, deeper and with convolutions over time (Fan et al. 2023)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

from torch import Tensor, nn

from core.models.layers.head import StripHead
from core.models.layers.output import GaitOutput
from core.models.layers.residual import BlockKind, GaitBackbone
from core.models.layers.sequences import (
    frames_of,
    maximum_over_time,
    running_maxima,
    shrunk,
    with_context,
)


class DeepGaitV2(nn.Module):
    """Residual network, maximum over time, horizontal strips, BNNeck.

    With ``2d`` blocks and one a stage it is GaitBase.

    Args:
        inner: Channels of the frames: 1 for silhouettes, 2 for skeleton maps.
        channels: Channels of the four stages.
        depths: Blocks of each stage: (1, 1, 1, 1), or (1, 4, 4, 1) for Gait3D and GREW.
        kind: Blocks of the stages after the first, whose own are 2-D.
        strips: P; must divide a quarter of the height.
        embedding: E, channels of a strip's embedding.
        classes: Training identities; 0 for inference, without a classifier.
        shrink: Side of the squares of pixels that are averaged first.
        normed: At test, compare strips behind BNNeck's batch norm, as SkeletonGait does on CCPG.
    """

    def __init__(
        self,
        inner: int = 1,
        channels: Sequence[int] = (64, 128, 256, 512),
        depths: Sequence[int] = (1, 1, 1, 1),
        kind: BlockKind = "p3d",
        strips: int = 16,
        embedding: int = 256,
        classes: int = 0,
        shrink: int = 1,
        *,
        normed: bool = False,
    ) -> None:
        super().__init__()
        self.shrink = shrink
        self.backbone = GaitBackbone(inner, channels, depths, kind=kind)
        self.head = StripHead(self.backbone.channels, strips, embedding, classes, normed=normed)

    def forward(self, silhouettes: Tensor) -> GaitOutput:
        """A training pass.

        Args:
            silhouettes: float [B, inner, T, H, W] in [0, 1], T at least 1.

        Returns:
            The embedding [B, E, P], and the logits [B, classes, P] unless ``classes`` is 0.
        """
        clips = silhouettes.shape[0]
        features = self.frame_features(frames_of(silhouettes), clips)
        return cast(GaitOutput, self.head(maximum_over_time(features, clips)))

    def frame_features(self, frames: Tensor, clips: int) -> Tensor:
        """Features of frames float [B*T, inner, H, W]; ``clips`` is B."""
        return cast(Tensor, self.backbone(shrunk(frames, self.shrink), clips))

    def embed(self, chunks: Iterable[Tensor]) -> Tensor:
        """The embedding of one whole sequence, in bounded memory; cuts do not change it.

        Args:
            chunks: float [t, inner, H, W] each, in time order.

        Returns:
            float [E, P].

        Raises:
            ValueError: the sequence has no frames.
        """
        windows = with_context(chunks, self.backbone.reach)
        (pooled,) = running_maxima([w.inner(self.frame_features(w.frames, 1))] for w in windows)
        return self.head.embed(pooled)[0]
