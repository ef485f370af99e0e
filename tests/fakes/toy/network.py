"""The toy's network."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from core.models.layers.output import GaitOutput


class Toy(nn.Module):
    """A linear map of the mean silhouette's rows, upper and lower half."""

    def __init__(self, embedding: int, rows: int) -> None:
        super().__init__()
        self.rows = nn.Linear(rows // 2, embedding)

    def head(self, pooled: Tensor) -> Tensor:
        """Embeddings float [B, E, 2] of mean silhouettes float [B, H, W]."""
        halves = pooled.mean(2).unflatten(1, (2, -1))
        embedding: Tensor = self.rows(halves)
        return embedding.transpose(1, 2)

    def forward(self, silhouettes: Tensor) -> GaitOutput:
        """Embeddings of clips float [B, 1, T, H, W]."""
        return GaitOutput(self.head(silhouettes[:, 0].mean(1)), None)

    def embed(self, chunks: Iterable[Tensor]) -> Tensor:
        """The embedding float [E, 2] of silhouettes float [t, 1, H, W]."""
        return self.head(torch.cat(list(chunks))[:, 0].mean(0, keepdim=True))[0]
