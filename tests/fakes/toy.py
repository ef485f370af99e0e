"""A family as small as one can be: settings, a network with its loss, and what joins them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor, nn

from core.losses.config import TripletConfig
from core.losses.total import TRIPLET, LossTerm, Targets, Terms
from core.models.backbones.image import ImageEncoder
from core.models.base import Part, SilhouetteImplementation
from core.models.build import seeded
from core.models.family import Family
from core.models.layers.output import GaitOutput
from core.models.silhouettes import SilhouetteFamilyConfig
from core.settings import NonNegative, Width


class ToyConfig(SilhouetteFamilyConfig):
    """Settings of the toy."""

    family: Literal["toy"] = "toy"
    channels: Width = 4


class ToyLosses(TripletConfig):
    """Settings of its losses."""

    area: NonNegative = 1.0


class Toy(nn.Module):
    """A linear map of the mean silhouette's rows, upper and lower half."""

    def __init__(self, channels: int, rows: int) -> None:
        super().__init__()
        self.rows = nn.Linear(rows // 2, channels)

    def head(self, pooled: Tensor) -> Tensor:
        """Embeddings float [B, channels, 2] of mean silhouettes float [B, H, W]."""
        halves = pooled.mean(2).unflatten(1, (2, -1))
        embedding: Tensor = self.rows(halves)
        return embedding.transpose(1, 2)

    def forward(self, silhouettes: Tensor) -> GaitOutput:
        """Embeddings of clips float [B, 1, T, H, W]."""
        return GaitOutput(self.head(silhouettes[:, 0].mean(1)), None)

    def embed(self, chunks: Iterable[Tensor]) -> Tensor:
        """The embedding float [channels, 2] of silhouettes float [t, 1, H, W]."""
        return self.head(torch.cat(list(chunks))[:, 0].mean(0, keepdim=True))[0]


def _area(config: ToyLosses, output: GaitOutput, batch: Targets) -> Tensor:
    del config
    return output.embedding.square().mean() * (batch.silhouettes > 0).float().mean()


class ToyImplementation(SilhouetteImplementation[ToyConfig]):
    """The toy."""

    parts = (Part("rows", "rows."),)

    def build(
        self,
        config: ToyConfig,
        *,
        classes: int | None,
        seed: int,
        image: ImageEncoder | None = None,
    ) -> nn.Module:
        """Build it."""
        del classes, image
        with seeded(seed):
            return Toy(config.channels, config.input.size)

    def terms(self, config: ToyConfig) -> Terms:
        """Triplet loss, and one of its own."""
        del config
        return {**TRIPLET, "area": LossTerm(lambda losses: losses.area, _area)}

    def shape(self, config: ToyConfig) -> tuple[int, int]:
        """(E, P)."""
        return config.channels, 2


TOY = Family(
    title="Toy",
    inputs=frozenset({"silhouettes"}),
    model=ToyConfig,
    losses=ToyLosses,
    implementation=ToyImplementation,
)
