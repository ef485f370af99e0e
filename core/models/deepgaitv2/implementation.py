"""How DeepGaitV2 is built, trained and embedded with."""

from __future__ import annotations

from torch import nn

from core.models.base import Part
from core.models.build import check_strips
from core.models.deepgaitv2.config import DeepGaitV2Config
from core.models.deepgaitv2.network import DeepGaitV2
from core.models.stream_base import SilhouetteImplementation


class DeepGaitV2Implementation(SilhouetteImplementation[DeepGaitV2Config]):
    """DeepGaitV2."""

    parts = (
        Part("residual network", "backbone."),
        Part("BNNeck and classifier", "head.neck.", inference=False),
        Part("linear maps of strips", "head."),
    )
    training_only = ("head.neck.",)
    side_by_side = ()

    def network(self, config: DeepGaitV2Config, classes: int) -> nn.Module:
        """The network (raises ``ConfigError`` where strips do not divide the rows)."""
        check_strips(config.strips, config.input.rows // 4, "model.strips")
        return DeepGaitV2(
            1,
            config.channels,
            config.depths,
            config.blocks,
            config.strips,
            config.embedding,
            classes,
            config.input.shrink,
        )
