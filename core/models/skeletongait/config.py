"""Settings of SkeletonGait. Defaults are those of DeepGaitV2, whose network it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from core.losses.config import LossConfig
from core.models.deepgaitv2.config import Depth
from core.models.family import Family
from core.models.streams import MapInput, StreamFamilyConfig
from core.settings import Width

if TYPE_CHECKING:
    from core.models.base import Implementation


class SkeletonGaitInput(MapInput):
    """Clips in time order, drawn from a run that is four frames longer."""

    skip: Annotated[int, Field(ge=0, le=10_000)] = 4


class SkeletonGaitConfig(StreamFamilyConfig):
    """SkeletonGait (Fan et al. 2024)."""

    family: Literal["skeletongait"] = "skeletongait"
    input: SkeletonGaitInput = SkeletonGaitInput()
    channels: Annotated[tuple[Width, ...], Field(min_length=4, max_length=4)] = (64, 128, 256, 512)
    depths: Annotated[tuple[Depth, ...], Field(min_length=4, max_length=4)] = (1, 1, 1, 1)
    """Blocks of each stage; (1, 4, 4, 1) for Gait3D and GREW."""
    blocks: Literal["p3d", "2d", "3d"] = "p3d"
    """Blocks of the stages after the first."""
    strips: Width = 16
    embedding: Width = 256
    compare: Literal["linear", "neck"] = "linear"
    """At test, compare the output of the linear maps, or that of BNNeck, as the authors do on
    CCPG."""


def _implementation() -> Implementation[Any]:
    from core.models.skeletongait.implementation import SkeletonGaitImplementation

    return SkeletonGaitImplementation()


SKELETONGAIT = Family(
    title="SkeletonGait",
    inputs=frozenset({"skeleton maps"}),
    model=SkeletonGaitConfig,
    losses=LossConfig,
    implementation=_implementation,
    presets="core.models.skeletongait",
)
