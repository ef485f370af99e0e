"""The two warm-ups of GaitEdge: its U-Net on masks, and GaitGL on silhouettes cut from masks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from core.data.dataset import ClipBatch
from core.losses.total import RECOGNITION, total_loss
from core.models.backbones.image import ImageEncoder
from core.models.gaitedge.build import build_recogniser
from core.models.gaitedge.config import (
    RECOGNISER,
    SEGMENTATION,
    GaitEdgeConfig,
    RecogniserWarmupConfig,
    SegmentationWarmupConfig,
)
from core.models.gaitedge.losses import segmentation_loss
from core.models.gaitedge.network import Recogniser, Segmentation
from core.models.gaitedge.pictures import shape_pictures
from core.models.gaitedge.unet import UNet
from core.models.layers.initialise import initialise
from core.models.warmup import Warmup


class SegmentationWarmup(Warmup[GaitEdgeConfig, SegmentationWarmupConfig]):
    """The U-Net learns the masks; here alone its encoder trains."""

    prefix = SEGMENTATION

    def build(
        self,
        config: GaitEdgeConfig,
        settings: SegmentationWarmupConfig,
        classes: int,
        image: ImageEncoder | None,
    ) -> Segmentation:
        """A new U-Net."""
        del settings, classes, image
        model = Segmentation(UNet(config.segmentation), config.size)
        initialise(model)
        return model

    def losses(
        self, settings: SegmentationWarmupConfig, module: nn.Module, batch: ClipBatch
    ) -> Mapping[str, Tensor]:
        """Binary cross entropy with the masks."""
        del settings
        return {"segmentation": segmentation_loss(module(batch.frames, batch.silhouettes))}

    def pictures(self, model: Segmentation, batch: ClipBatch) -> Mapping[str, Tensor]:
        """Squashed frames, and below them their masks and the foreground."""
        return shape_pictures(model, batch)

    def deciding(self, config: GaitEdgeConfig) -> Mapping[str, Any]:
        """Its sizes, and that of its pictures."""
        return {"network": [config.size, *config.segmentation]}


class RecogniserWarmup(Warmup[GaitEdgeConfig, RecogniserWarmupConfig]):
    """GaitGL learns to tell people by silhouettes; it reads masks and no frames."""

    prefix = RECOGNISER
    inputs = frozenset({"masks"})

    def build(
        self,
        config: GaitEdgeConfig,
        settings: RecogniserWarmupConfig,
        classes: int,
        image: ImageEncoder | None,
    ) -> Recogniser:
        """A new GaitGL with its classifier, which the training takes over."""
        del settings, image
        network = build_recogniser(config, classes)
        model = Recogniser(network, config.size, (config.rows, config.columns))
        initialise(model)
        return model

    def losses(
        self, settings: RecogniserWarmupConfig, module: nn.Module, batch: ClipBatch
    ) -> Mapping[str, Tensor]:
        """Triplet loss and cross entropy."""
        output = module(batch.silhouettes, len(batch.labels))
        return total_loss(RECOGNITION, settings.losses, output, batch).parts

    def deciding(self, config: GaitEdgeConfig) -> Mapping[str, Any]:
        """Its sizes, and those of masks and silhouettes."""
        sizes = [config.size, config.rows, *config.channels, config.bands, config.embedding]
        return {"network": [*sizes, config.power]}
