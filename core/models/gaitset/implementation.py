"""How GaitSet is built, trained and embedded with."""

from __future__ import annotations

from torch import nn

from core.losses.total import TRIPLET, Terms
from core.models.backbones.image import ImageEncoder
from core.models.base import Part, SilhouetteImplementation
from core.models.build import check_strips, seeded
from core.models.gaitset.config import GaitSetConfig
from core.models.gaitset.network import GaitSet
from core.models.layers.initialise import initialise


class GaitSetImplementation(SilhouetteImplementation[GaitSetConfig]):
    """GaitSet: no classifier, and the triplet loss alone."""

    parts = (
        Part("frame branch", "frame"),
        Part("set branch", "set"),
        Part("linear maps of strips", "linear."),
    )
    training_only = ()

    def build(
        self,
        config: GaitSetConfig,
        *,
        classes: int | None,
        seed: int,
        image: ImageEncoder | None = None,
    ) -> nn.Module:
        """Build it (raises ``ConfigError`` where strips do not divide the rows)."""
        del classes, image
        for strips in config.scales:
            check_strips(strips, config.input.rows // 4, "model.scales")
        with seeded(seed):
            model = GaitSet(
                1, config.channels, config.scales, config.embedding, config.input.shrink
            )
            initialise(model)
        return model

    def terms(self, config: GaitSetConfig) -> Terms:
        """The triplet loss."""
        del config
        return TRIPLET

    def shape(self, config: GaitSetConfig) -> tuple[int, int]:
        """(E, P)."""
        return config.embedding, 2 * sum(config.scales)
