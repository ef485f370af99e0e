"""How GPGait is built, trained and embedded with."""

from __future__ import annotations

from torch import nn

from core.errors import ConfigError
from core.losses.total import HARD_RECOGNITION
from core.models.base import Part
from core.models.gpgait.config import GPGaitConfig
from core.models.gpgait.network import GPGait
from core.models.pose_base import PoseImplementation


class GPGaitImplementation(PoseImplementation[GPGaitConfig]):
    """GPGait; its embedding is the output of BNNeck, whose classifier alone is left out at test."""

    parts = (
        Part("branch of joints", "joints."),
        Part("branch of bones", "bones."),
        Part("branch of angles", "angles."),
        Part("linear maps of parts", "linear."),
        Part("classifier", "neck.weight", inference=False),
        Part("batch norm behind the linear maps", "neck."),
    )
    training_only = ("neck.weight",)
    loss_terms = HARD_RECOGNITION

    def network(self, config: GPGaitConfig, classes: int) -> nn.Module:
        """The network (raises ``ConfigError`` where queries have no channels)."""
        if min(config.channels) < 4:
            raise ConfigError(
                "Queries and keys have a quarter of a block's channels: none of fewer than 4",
                where="model.channels",
                next_step="Set model.channels to 4 or more each.",
            )
        return GPGait(config.channels, config.embedding, classes, config.turn)
