"""How BiggerGait is built and trained."""

from __future__ import annotations

from torch import nn

from core.losses.total import RECOGNITION, Terms
from core.models.backbones.image import ImageEncoder
from core.models.base import Part
from core.models.biggergait.config import BiggerGaitConfig
from core.models.biggergait.network import BiggerGait
from core.models.biggergait.warmup import MaskWarmup
from core.models.build import check_strips, seeded
from core.models.layers.initialise import initialise
from core.models.masked import MaskedImplementation


class BiggerGaitImplementation(MaskedImplementation[BiggerGaitConfig]):
    """BiggerGait, from a mask branch that was trained before and is frozen."""

    parts = (
        Part("image encoder", MaskedImplementation.image_prefix),
        Part("mask branch", MaskWarmup.prefix),
        Part("projections of blocks", "projections."),
        Part("GaitBase", "backbones."),
        Part("linear maps of strips", "heads."),
        Part("BNNeck and classifier", "necks.", inference=False),
    )
    training_only = ("necks.",)
    side_by_side = ()
    warmups = (MaskWarmup(),)

    def build(
        self,
        config: BiggerGaitConfig,
        *,
        classes: int | None,
        seed: int,
        image: ImageEncoder | None = None,
    ) -> nn.Module:
        """Build it (raises ``ConfigError`` where strips do not divide the rows)."""
        image = self.encoder(config) if image is None else image
        rows = image.grid[0] * config.factor
        check_strips(config.strips, -(-rows // 2), "model.strips")
        with seeded(seed):
            model = BiggerGait(
                image,
                per_group=config.per_group,
                networks=config.networks,
                hidden=config.hidden,
                maps=config.maps,
                factor=config.factor,
                channels=config.channels,
                strips=config.strips,
                embedding=config.embedding,
                classes=classes or 0,
                person=None if config.person == "sides" else config.person,
            )
            initialise(model)
        return model

    def terms(self, config: BiggerGaitConfig) -> Terms:
        """Triplet loss and cross entropy."""
        del config
        return RECOGNITION

    def shape(self, config: BiggerGaitConfig) -> tuple[int, int]:
        """(E, P), the groups' strips side by side."""
        return config.embedding, config.strips * (len(config.image.layers) // config.per_group)
