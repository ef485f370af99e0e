"""How the toy is built and trained."""

from __future__ import annotations

from torch import Tensor, nn

from core.losses.total import TRIPLET, LossTerm, Targets, Terms
from core.models.base import Part
from core.models.layers.output import GaitOutput
from core.models.stream_base import SilhouetteImplementation
from tests.fakes.toy.config import ToyConfig, ToyLosses
from tests.fakes.toy.network import Toy


def _area(config: ToyLosses, output: GaitOutput, batch: Targets) -> Tensor:
    del config
    return output.embedding.square().mean() * (batch.silhouettes > 0).float().mean()


TERMS: Terms = {**TRIPLET, "area": LossTerm(lambda losses: losses.area, _area)}


class ToyImplementation(SilhouetteImplementation[ToyConfig]):
    """The toy: the triplet loss, and one of its own."""

    parts = (Part("rows", "rows."),)
    loss_terms = TERMS

    def network(self, config: ToyConfig, classes: int) -> nn.Module:
        """The network."""
        del classes
        return Toy(config.embedding, config.input.size)
