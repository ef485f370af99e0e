"""A residual network with two stems and first stages, joined by attention."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn

from core.models.layers.attention_fusion import AttentionFusion
from core.models.layers.residual import BlockKind, GaitBackbone, ResidualStages

# Channels of the fusion's bottleneck, as a part of the first stage's.
_NARROWER = 16


class TwoStreamBackbone(nn.Module):
    """Two stems and first stages of 2-D blocks, their fusion, and the stages after it.

    The strides of the four stages are 1, 2, 2 and 1.

    Args:
        inner: Channels of the first map and of the second.
        channels: Channels of the four stages.
        depths: Blocks of each stage.
        kind: Blocks of the stages after the first.
        interleaved: As of :class:`core.models.layers.attention_fusion.AttentionFusion`.
    """

    def __init__(
        self,
        inner: tuple[int, int],
        channels: Sequence[int],
        depths: Sequence[int],
        kind: BlockKind,
        *,
        interleaved: bool,
    ) -> None:
        super().__init__()
        first, *rest = channels
        self.first, self.second = (GaitBackbone(i, [first], depths[:1], [1]) for i in inner)
        self.fusion = AttentionFusion(first, max(first // _NARROWER, 1), interleaved=interleaved)
        self.stages = ResidualStages(first, rest, depths[1:], (2, 2, 1), [kind] * len(rest))
        self.reach = self.stages.reach

    def frame_features(self, first: Tensor, second: Tensor, clips: int) -> Tensor:
        """Features of frames.

        Args:
            first: float [B*T, inner[0], h, w], clip by clip in time order.
            second: float [B*T, inner[1], h, w].
            clips: B.

        Returns:
            float [B*T, channels[-1], h / 4, w / 4].
        """
        joined = self.fusion(self.first(first, clips), self.second(second, clips))
        return cast(Tensor, self.stages(joined, clips))
