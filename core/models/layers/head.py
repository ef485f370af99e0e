"""From time-pooled maps to an embedding for each strip, and its identity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from core.models.layers.gaitbase import BNNeck, StripLinear, strip_pool
from core.models.layers.output import GaitOutput


class StripHead(nn.Module):
    """Horizontal strips, a linear map for each, and BNNeck with the classifier.

    Args:
        inner: Channels of the maps.
        strips: P; must divide the rows of the maps.
        embedding: E, channels of a strip's embedding.
        classes: Training identities; 0 for inference, without BNNeck.
    """

    def __init__(self, inner: int, strips: int, embedding: int, classes: int = 0) -> None:
        super().__init__()
        self.strips = strips
        self.linear = StripLinear(strips, inner, embedding)
        self.neck = BNNeck(strips, embedding, classes) if classes else None

    def embed(self, pooled: Tensor) -> Tensor:
        """Embeddings float [B, E, P] of maps float [B, inner, h, w]."""
        return cast(Tensor, self.linear(strip_pool(pooled, self.strips)))

    def forward(self, pooled: Tensor) -> GaitOutput:
        """Embeddings and logits of maps float [B, inner, h, w]."""
        embedding = self.embed(pooled)
        return GaitOutput(embedding, None if self.neck is None else self.neck(embedding))


def pyramid_pool(maps: Tensor, scales: Sequence[int]) -> Tensor:
    """Horizontal pyramid pooling: mean + max of each strip, at several numbers of strips.

    Args:
        maps: float [B, C, h, w], h a multiple of each scale.
        scales: Numbers of strips.

    Returns:
        float [B, C, sum of scales], scale by scale, the top strip first.
    """
    return torch.cat([strip_pool(maps, strips) for strips in scales], dim=2)
