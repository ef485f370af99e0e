"""Settings of BiggerGait. Defaults are the authors' grouped form for CCPG."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import model_validator

from core.losses.config import LossConfig
from core.models.backbones.config import ImageEncoderConfig
from core.models.family import Family
from core.models.rgb import MaskedFamilyConfig
from core.settings import NonNegative, Positive, Width
from core.steps import SpreadWarmupConfig

if TYPE_CHECKING:
    from core.models.base import Implementation


class AllBlocksConfig(ImageEncoderConfig):
    """The frozen image encoder, of which all blocks are taken."""

    layers: tuple[Positive, ...] = tuple(range(1, 13))


class BiggerGaitConfig(MaskedFamilyConfig):
    """BiggerGait (Ye et al., NeurIPS 2025)."""

    family: Literal["biggergait"] = "biggergait"
    image: AllBlocksConfig = AllBlocksConfig()
    per_group: Positive = 2
    """Blocks of each group, in order; a group has maps and strips of its own."""
    networks: Positive = 2
    """Gait networks, each for as many groups in order; 12 with ``per_group`` 1 is the full form."""
    hidden: Width | None = None
    """Channels inside a group's projection; null takes half of a block's."""
    strips: Width = 32
    """Of each group."""
    person: Literal["sides", 0, 1] = "sides"
    """The mask branch's channel that is the person: ``sides`` decides it in each frame, the other
    one being what fills the left and right sides."""

    @model_validator(mode="after")
    def _blocks_divide(self) -> BiggerGaitConfig:
        blocks = len(self.image.layers)
        groups, left = divmod(blocks, self.per_group)
        if left:
            raise ValueError(f"per_group: {blocks} blocks do not divide by {self.per_group}")
        if groups % self.networks:
            raise ValueError(f"networks: {groups} groups do not divide by {self.networks}")
        return self


class MaskWarmupConfig(SpreadWarmupConfig):
    """The warm-up of the mask branch: as BigGait trains it in its first iterations."""

    part: ClassVar[str] = "mask branch"
    iterations: Positive = 500
    batch: Positive = 64
    frames: Positive = 30
    smoothness: NonNegative = 0.02
    """Weight of the Sobel response of its shares."""
    reconstruction: NonNegative = 1.0
    """Weight of the squared error of the features that it rebuilds."""


def _implementation() -> Implementation[Any]:
    from core.models.biggergait.implementation import BiggerGaitImplementation

    return BiggerGaitImplementation()


BIGGERGAIT = Family(
    title="BiggerGait",
    inputs=frozenset({"rgb"}),
    model=BiggerGaitConfig,
    losses=LossConfig,
    implementation=_implementation,
    capabilities=frozenset({"stored features", "films"}),
    warmups=(MaskWarmupConfig,),
    presets="core.models.biggergait",
)
