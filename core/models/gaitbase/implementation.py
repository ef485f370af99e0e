"""How GaitBase on silhouettes is built, trained and embedded with."""

from __future__ import annotations

from torch import nn

from core.losses.total import RECOGNITION, Terms
from core.models.backbones.image import ImageEncoder
from core.models.base import Part, SilhouetteImplementation
from core.models.build import check_strips, seeded
from core.models.gaitbase.config import GaitBaseConfig
from core.models.gaitbase.network import SilhouetteGaitBase
from core.models.layers.initialise import initialise


class GaitBaseImplementation(SilhouetteImplementation[GaitBaseConfig]):
    """GaitBase on silhouettes."""

    parts = (Part("GaitBase", "gait."), Part("BNNeck and classifier", "neck.", inference=False))

    def build(
        self,
        config: GaitBaseConfig,
        *,
        classes: int | None,
        seed: int,
        image: ImageEncoder | None = None,
    ) -> nn.Module:
        """Build it (raises ``ConfigError`` where strips do not divide the rows)."""
        del image
        check_strips(config.strips, config.input.rows // 4, "model.strips")
        with seeded(seed):
            model = SilhouetteGaitBase(
                1,
                config.channels,
                config.strips,
                config.embedding,
                classes or 0,
                config.input.shrink,
            )
            initialise(model)
        return model

    def terms(self, config: GaitBaseConfig) -> Terms:
        """Triplet loss and cross entropy."""
        del config
        return RECOGNITION

    def shape(self, config: GaitBaseConfig) -> tuple[int, int]:
        """(E, P)."""
        return config.embedding, config.strips
