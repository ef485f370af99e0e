"""How BigGait is built and trained."""

from __future__ import annotations

from functools import partial
from typing import Any, cast

from torch import nn

from core.data.dataset import ClipBatch
from core.losses.total import Terms
from core.models.backbones.image import ImageEncoder
from core.models.base import Part
from core.models.biggait.config import BigGaitConfig
from core.models.biggait.inference import BigGaitGraph
from core.models.biggait.losses import TERMS
from core.models.biggait.network import BigGait
from core.models.build import check_strips, seeded
from core.models.layers.initialise import initialise
from core.models.masked import MaskedImplementation

NECK_PREFIX = "gait.head.neck."


class BigGaitImplementation(MaskedImplementation[BigGaitConfig]):
    """BigGait; its mask branch trains in the first iterations alone."""

    parts = (
        Part("image encoder", MaskedImplementation.image_prefix),
        Part("mask branch", "mask."),
        Part("denoising branch", "denoising."),
        Part("appearance branch", "appearance."),
        Part("BNNeck and classifier", NECK_PREFIX, inference=False),
        Part("GaitBase with two stems", "gait."),
    )
    training_only = (NECK_PREFIX,)
    side_by_side = (("gait.first", "gait.second"),)

    def build(
        self,
        config: BigGaitConfig,
        *,
        classes: int | None,
        seed: int,
        image: ImageEncoder | None = None,
    ) -> nn.Module:
        """Build it (raises ``ConfigError`` where strips do not divide the rows)."""
        image = self.encoder(config) if image is None else image
        rows = image.grid[0] * config.factor
        check_strips(config.strips, -(-rows // 4), "model.strips")
        with seeded(seed):
            model = BigGait(
                image,
                maps=config.maps,
                factor=config.factor,
                channels=config.channels,
                strips=config.strips,
                embedding=config.embedding,
                classes=classes or 0,
                zeroed=config.zeroed,
            )
            initialise(model)
        return model

    def terms(self, config: BigGaitConfig) -> Terms:
        """Six terms, two of which end with the mask branch's training."""
        del config
        return TERMS

    def forward(self, module: nn.Module, batch: ClipBatch) -> Any:  # noqa: ANN401
        """A training pass; which clips lose a map follows from the draws of the clips."""
        return module(batch.frames, batch.patches, len(batch.labels), batch.draws)

    def freeze(self, config: BigGaitConfig, model: nn.Module, step: int) -> bool:
        """Freeze the mask branch from iteration ``mask_iterations`` on."""
        mask = cast(BigGait, model).mask
        if mask.frozen or step < config.mask_iterations:
            return False
        mask.freeze()
        return True

    def graph(self, config: BigGaitConfig, model: nn.Module) -> BigGaitGraph:
        """Frames to embeddings, over all pixels."""
        del config
        return BigGaitGraph(model, partial(self.embed, model))

    def shape(self, config: BigGaitConfig) -> tuple[int, int]:
        """(E, P)."""
        return config.embedding, config.strips
