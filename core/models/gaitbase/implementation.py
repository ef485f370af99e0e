"""How GaitBase on silhouettes is built, trained and embedded with."""

from __future__ import annotations

from torch import nn

from core.models.base import Part
from core.models.build import check_strips
from core.models.gaitbase.config import GaitBaseConfig
from core.models.gaitbase.network import SilhouetteGaitBase
from core.models.stream_base import SilhouetteImplementation


class GaitBaseImplementation(SilhouetteImplementation[GaitBaseConfig]):
    """GaitBase on silhouettes."""

    parts = (Part("GaitBase", "gait."), Part("BNNeck and classifier", "neck.", inference=False))
    side_by_side = ()

    def network(self, config: GaitBaseConfig, classes: int) -> nn.Module:
        """The network (raises ``ConfigError`` where strips do not divide the rows)."""
        check_strips(config.strips, config.input.rows // 4, "model.strips")
        return SilhouetteGaitBase(
            1,
            config.channels,
            config.strips,
            config.embedding,
            classes,
            config.input.shrink,
        )
