"""How GaitGraph2 is built, trained and embedded with."""

from __future__ import annotations

from torch import nn

from core.errors import ConfigError
from core.losses.total import CONTRASTIVE
from core.models.base import Part
from core.models.gaitgraph2.config import GaitGraph2Config
from core.models.gaitgraph2.network import GaitGraph2
from core.models.pose_base import PoseImplementation


class GaitGraph2Implementation(PoseImplementation[GaitGraph2Config]):
    """GaitGraph2: no classifier, and the supervised contrastive loss alone."""

    parts = (
        Part("branches", "branches."),
        Part("trunk", "trunk."),
        Part("linear map", "linear."),
    )
    training_only = ()
    loss_terms = CONTRASTIVE

    def network(self, config: GaitGraph2Config, classes: int) -> nn.Module:
        """The network (raises ``ConfigError`` where bottlenecks have no channels)."""
        del classes
        if config.reduction > min(config.branch[1], *config.trunk):
            raise ConfigError(
                f"A bottleneck of one channel in {config.reduction} is empty",
                where="model.reduction",
                next_step="Set model.reduction below the channels of model.branch and model.trunk.",
            )
        return GaitGraph2(
            config.branch,
            config.trunk,
            config.reduction,
            config.view,
            config.frames,
            views=config.views,
        )
