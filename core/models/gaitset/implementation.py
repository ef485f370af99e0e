"""How GaitSet is built, trained and embedded with."""

from __future__ import annotations

from torch import nn

from core.losses.total import TRIPLET
from core.models.base import Part
from core.models.build import check_strips
from core.models.gaitset.config import GaitSetConfig
from core.models.gaitset.network import GaitSet
from core.models.stream_base import SilhouetteImplementation


class GaitSetImplementation(SilhouetteImplementation[GaitSetConfig]):
    """GaitSet: no classifier, and the triplet loss alone."""

    parts = (
        Part("frame branch", "frame"),
        Part("set branch", "set"),
        Part("linear maps of strips", "linear."),
    )
    training_only = ()
    side_by_side = (("frame2", "set2"), ("frame3", "set3"))
    loss_terms = TRIPLET

    def network(self, config: GaitSetConfig, classes: int) -> nn.Module:
        """The network (raises ``ConfigError`` where strips do not divide the rows)."""
        del classes
        for strips in config.scales:
            check_strips(strips, config.input.rows // 4, "model.scales")
        return GaitSet(1, config.channels, config.scales, config.embedding, config.input.shrink)
