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
        classes: Training identities; 0 for inference, without a classifier.
        normed: At test, compare strips behind BNNeck's batch norm, each of length 1.
    """

    def __init__(
        self, inner: int, strips: int, embedding: int, classes: int = 0, *, normed: bool = False
    ) -> None:
        super().__init__()
        self.strips, self.classes, self.normed = strips, classes, normed
        self.linear = StripLinear(strips, inner, embedding)
        self.neck = BNNeck(strips, embedding, classes) if classes or normed else None

    def embed(self, pooled: Tensor) -> Tensor:
        """What is compared at test, float [B, E, P], of maps float [B, inner, h, w]."""
        embedding = cast(Tensor, self.linear(strip_pool(pooled, self.strips)))
        return self.neck.features(embedding) if self.normed and self.neck else embedding

    def forward(self, pooled: Tensor) -> GaitOutput:
        """Embeddings and logits of maps float [B, inner, h, w].

        With a classifier, embeddings are those before BNNeck; without, what is compared at test.
        """
        if not self.classes or self.neck is None:
            return GaitOutput(self.embed(pooled), None)
        embedding = self.linear(strip_pool(pooled, self.strips))
        return GaitOutput(embedding, self.neck(embedding))


def pyramid_pool(maps: Tensor, scales: Sequence[int]) -> Tensor:
    """Horizontal pyramid pooling: mean + max of each strip, at several numbers of strips.

    Args:
        maps: float [B, C, h, w], h a multiple of each scale.
        scales: Numbers of strips.

    Returns:
        float [B, C, sum of scales], scale by scale, the top strip first.
    """
    return torch.cat([strip_pool(maps, strips) for strips in scales], dim=2)
