"""GaitBase on silhouettes (Fan et al., "OpenGait", CVPR 2023 / arXiv 2405.09138)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import Tensor, nn

from core.models.layers.gaitbase import BNNeck, GaitBase
from core.models.layers.output import GaitOutput
from core.models.layers.sequences import (
    frames_of,
    maximum_over_time,
    running_maxima,
    shrunk,
    with_context,
)


class SilhouetteGaitBase(nn.Module):
    """GaitBase with its classifier; neither order nor repetition of frames matters.

    Args:
        inner: Channels of the silhouettes.
        channels: Channels of the four stages.
        strips: P; must divide a quarter of the height that is left.
        embedding: E, channels of a strip's embedding.
        classes: Training identities; 0 for inference, without BNNeck.
        shrink: Side of the squares of pixels that are averaged first.
    """

    def __init__(
        self,
        inner: int = 1,
        channels: Sequence[int] = (64, 128, 256, 512),
        strips: int = 16,
        embedding: int = 256,
        classes: int = 0,
        shrink: int = 1,
    ) -> None:
        super().__init__()
        self.shrink = shrink
        self.gait = GaitBase(inner, channels, strips, embedding)
        self.neck = BNNeck(strips, embedding, classes) if classes else None

    def forward(self, silhouettes: Tensor) -> GaitOutput:
        """A training pass.

        Args:
            silhouettes: float [B, inner, T, H, W] in [0, 1] (64x44 or 128x88 pixels), T at least 1.

        Returns:
            The embedding [B, E, P], and the logits [B, classes, P] unless ``classes`` is 0.
        """
        features = self.frame_features(frames_of(silhouettes))
        embedding = self.gait.head(maximum_over_time(features, silhouettes.shape[0]))
        return GaitOutput(embedding, None if self.neck is None else self.neck(embedding))

    def frame_features(self, frames: Tensor) -> Tensor:
        """Features of frames float [n, inner, H, W]."""
        return self.gait.frame_features(shrunk(frames, self.shrink))

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
        (pooled,) = running_maxima([self.frame_features(w.frames)] for w in windows)
        return self.gait.head(pooled)[0]
