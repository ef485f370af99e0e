"""Settings of SkeletonGait. Defaults are those of DeepGaitV2, whose network it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from core.inputs import MapInput
from core.losses.config import LossConfig
from core.models.deepgaitv2.config import DeepGaitV2Sizes
from core.models.family import Family

if TYPE_CHECKING:
    from core.models.base import Implementation


class SkeletonGaitInput(MapInput):
    """Clips in time order, drawn from a run that is four frames longer."""

    skip: Annotated[int, Field(ge=0, le=10_000)] = 4


class SkeletonGaitConfig(DeepGaitV2Sizes):
    """SkeletonGait (Fan et al. 2024)."""

    family: Literal["skeletongait"] = "skeletongait"
    input: SkeletonGaitInput = SkeletonGaitInput()
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
