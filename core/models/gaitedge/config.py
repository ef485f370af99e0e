"""Settings of GaitEdge. Defaults are the published ones, for CASIA-B*."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from core.inputs import MaskedFrameInput
from core.losses.config import LossConfig
from core.models.family import Family
from core.models.streams import StreamFamilyConfig
from core.settings import NonNegative, Positive, Width
from core.steps import IdentityWarmupConfig, TrainConfig

if TYPE_CHECKING:
    from core.models.base import Implementation

# Beginnings of the names of the two networks' parameters.
SEGMENTATION, RECOGNISER = "segmentation.", "recogniser."


class GaitEdgeConfig(StreamFamilyConfig):
    """GaitEdge (Liang et al. 2022): a U-Net, and GaitGL (Lin et al., ICCV 2021) behind it."""

    family: Literal["gaitedge"] = "gaitedge"
    input: MaskedFrameInput = MaskedFrameInput()
    size: Literal[32, 64, 128] = 128
    """Rows and columns of what the U-Net sees: a person's box, squashed to a square."""
    segmentation: Annotated[tuple[Width, ...], Field(min_length=2, max_length=5)] = (
        16,
        32,
        64,
        128,
    )
    """Channels of the U-Net's levels, the finest first."""
    edge: Annotated[int, Field(ge=3, le=31)] = 3
    """Side of the square that widens and narrows a mask: what lies between is its edge; odd."""
    rows: Literal[32, 64] = 64
    """Rows of a silhouette; GaitGL gets 64x44 or 32x22 pixels, and gives as many strips."""
    channels: Annotated[tuple[Width, ...], Field(min_length=3, max_length=3)] = (32, 64, 128)
    """Channels of GaitGL's first layers, and of its first and other global and local layers."""
    bands: Annotated[int, Field(ge=1, le=32)] = 8
    """Bands of rows that a local layer sees by themselves; half of the rows divide by them."""
    power: Annotated[float, Field(gt=0, le=100)] = 6.5
    """Power of the mean of a row, as training begins with it."""
    embedding: Width = 128

    @property
    def strips(self) -> int:
        """P: global and local features of half as many rows each, one below the other."""
        return self.rows

    @property
    def columns(self) -> int:
        """Columns of a silhouette."""
        return self.rows * 11 // 16

    @model_validator(mode="after")
    def _fits(self) -> GaitEdgeConfig:
        if self.edge % 2 == 0:
            raise ValueError("edge must be odd")
        return self


class RecogniserLosses(LossConfig):
    """Triplet loss and cross entropy; the logits are not cosines, and stay as they are."""

    scale: Annotated[float, Field(gt=0)] = 1.0
    label_smoothing: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0


class GaitEdgeLosses(RecogniserLosses):
    """Weights and forms of the three losses of the whole."""

    segmentation: NonNegative = 10.0
    """Weight of the U-Net's binary cross entropy with the mask."""


class SegmentationWarmupConfig(IdentityWarmupConfig):
    """The U-Net alone: it learns the masks."""

    part: ClassVar[str] = "segmentation"
    title: ClassVar[str] = "Warm-up of the segmentation"
    iterations: Positive = 25_000
    milestones: tuple[Positive, ...] = (10_000, 15_000, 20_000)
    sequences: Annotated[int, Field(ge=2, le=100_000)] = 16
    frames: Positive = 15
    order: Literal["random", "time"] = "random"


class RecogniserWarmupConfig(IdentityWarmupConfig):
    """GaitGL alone, on silhouettes that are cut from the masks."""

    section: ClassVar[str] = "recogniser"
    part: ClassVar[str] = "recogniser"
    title: ClassVar[str] = "Warm-up of the recogniser"
    iterations: Positive = 80_000
    optimizer: Literal["sgd", "adam", "adamw"] = "adam"
    lr: Annotated[float, Field(gt=0)] = 1e-4
    milestones: tuple[Positive, ...] = (70_000,)
    losses: RecogniserLosses = RecogniserLosses()


class GaitEdgeTrainConfig(TrainConfig):
    """The training of both networks together."""

    iterations: Positive = 20_000
    optimizer: Literal["sgd", "adam", "adamw"] = "adam"
    lr: Annotated[float, Field(gt=0)] = 1e-4
    segmentation_lr: Annotated[float, Field(gt=0)] = 1e-5
    """Rate of what trains of the U-Net; it falls as ``lr`` does."""
    milestones: tuple[Positive, ...] = (10_000,)

    @property
    def rates(self) -> Mapping[str, float]:
        """That of the U-Net."""
        return {SEGMENTATION: self.segmentation_lr}


def _implementation() -> Implementation[Any]:
    from core.models.gaitedge.implementation import GaitEdgeImplementation

    return GaitEdgeImplementation()


GAITEDGE = Family(
    title="GaitEdge",
    inputs=frozenset({"rgb", "masks"}),
    model=GaitEdgeConfig,
    losses=GaitEdgeLosses,
    implementation=_implementation,
    warmups=(SegmentationWarmupConfig, RecogniserWarmupConfig),
    train=GaitEdgeTrainConfig,
    presets="core.models.gaitedge",
)
