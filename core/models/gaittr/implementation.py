"""How Gait-TR is built, trained and embedded with."""

from __future__ import annotations

from torch import nn

from core.errors import ConfigError
from core.losses.total import TRIPLET
from core.models.base import Part
from core.models.gaittr.config import GaitTRConfig
from core.models.gaittr.network import GaitTR
from core.models.pose_base import PoseImplementation


class GaitTRImplementation(PoseImplementation[GaitTRConfig]):
    """Gait-TR: no classifier, and the triplet loss alone."""

    parts = (
        Part("batch norm of the pose", "norm."),
        Part("blocks", "blocks."),
        Part("linear map", "linear."),
    )
    training_only = ()
    loss_terms = TRIPLET

    def network(self, config: GaitTRConfig, classes: int) -> nn.Module:
        """The network (raises ``ConfigError`` where heads do not divide the channels)."""
        del classes
        if any(channels % (4 * config.heads) for channels in config.channels):
            raise ConfigError(
                f"{config.heads} heads do not divide a quarter of the channels",
                where="model.heads",
                next_step="Set model.channels to multiples of four times model.heads.",
            )
        return GaitTR(config.channels, config.heads, config.embedding, config.dropout)
