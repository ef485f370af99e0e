"""How DeepGaitV2 is built, trained and embedded with."""

from __future__ import annotations

from torch import nn

from core.losses.total import RECOGNITION, Terms
from core.models.backbones.image import ImageEncoder
from core.models.base import Part, SilhouetteImplementation
from core.models.build import check_strips, seeded
from core.models.deepgaitv2.config import DeepGaitV2Config
from core.models.deepgaitv2.network import DeepGaitV2
from core.models.layers.initialise import initialise


class DeepGaitV2Implementation(SilhouetteImplementation[DeepGaitV2Config]):
    """DeepGaitV2."""

    parts = (
        Part("residual network", "backbone."),
        Part("BNNeck and classifier", "head.neck.", inference=False),
        Part("linear maps of strips", "head."),
    )
    training_only = ("head.neck.",)

    def build(
        self,
        config: DeepGaitV2Config,
        *,
        classes: int | None,
        seed: int,
        image: ImageEncoder | None = None,
    ) -> nn.Module:
        """Build it (raises ``ConfigError`` where strips do not divide the rows)."""
        del image
        check_strips(config.strips, config.input.rows // 4, "model.strips")
        with seeded(seed):
            model = DeepGaitV2(
                1,
                config.channels,
                config.depths,
                config.blocks,
                config.strips,
                config.embedding,
                classes or 0,
                config.input.shrink,
            )
            initialise(model)
        return model

    def terms(self, config: DeepGaitV2Config) -> Terms:
        """Triplet loss and cross entropy."""
        del config
        return RECOGNITION

    def shape(self, config: DeepGaitV2Config) -> tuple[int, int]:
        """(E, P)."""
        return config.embedding, config.strips
