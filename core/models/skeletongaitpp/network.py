"""SkeletonGait++: silhouettes and skeleton maps, joined behind a stage each (Fan et al. 2024).

Images are float [.., 3, H, W]: the silhouette, then the skeleton map of limbs and that of joints.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

from torch import Tensor

from core.models.layers.head import StripHead
from core.models.layers.output import GaitOutput
from core.models.layers.residual import BlockKind
from core.models.layers.sequences import (
    frames_of,
    maximum_over_time,
    running_maxima,
    shrunk,
    with_context,
)
from core.models.layers.two_streams import TwoStreamBackbone

SILHOUETTES, MAPS = 1, 2  # channels


class SkeletonGaitPP(TwoStreamBackbone):
    """DeepGaitV2 with two stems and first stages, joined by attention.

    Args:
        channels: Channels of the four stages.
        depths: Blocks of each stage.
        kind: Blocks of the stages after the first, whose own are 2-D.
        strips: P; must divide a quarter of the height.
        embedding: E, channels of a strip's embedding.
        classes: Training identities; 0 for inference, without a classifier.
        shrink: Side of the squares of pixels that are averaged first.
        normed: At test, compare strips behind BNNeck's batch norm.
    """

    def __init__(
        self,
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
        super().__init__((SILHOUETTES, MAPS), channels, depths, kind, interleaved=False)
        self.shrink = shrink
        self.head = StripHead(channels[-1], strips, embedding, classes, normed=normed)

    def forward(self, images: Tensor) -> GaitOutput:
        """A training pass.

        Args:
            images: float [B, 3, T, H, W] in [0, 1], T at least 1.

        Returns:
            The embedding [B, E, P], and the logits [B, classes, P] unless ``classes`` is 0.
        """
        clips = images.shape[0]
        features = self._features(frames_of(images), clips)
        return cast(GaitOutput, self.head(maximum_over_time(features, clips)))

    def embed(self, chunks: Iterable[Tensor]) -> Tensor:
        """The embedding of one whole sequence, in bounded memory; cuts do not change it.

        Args:
            chunks: float [t, 3, H, W] each, in time order.

        Returns:
            float [E, P].

        Raises:
            ValueError: the sequence has no frames.
        """
        windows = with_context(chunks, self.reach)
        (pooled,) = running_maxima([w.inner(self._features(w.frames, 1))] for w in windows)
        return self.head.embed(pooled)[0]

    def _features(self, frames: Tensor, clips: int) -> Tensor:
        """Features of frames float [B*T, 3, H, W]; ``clips`` is B."""
        first, second = shrunk(frames, self.shrink).split([SILHOUETTES, MAPS], dim=1)
        return self.frame_features(first, second, clips)
