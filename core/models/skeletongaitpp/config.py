"""Settings of SkeletonGait++: of its network those of DeepGaitV2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from core.inputs import SilhouetteInput
from core.losses.config import LossConfig
from core.models.deepgaitv2.config import DeepGaitV2Sizes
from core.models.family import Family

if TYPE_CHECKING:
    from core.models.base import Implementation


class SkeletonGaitPPInput(SilhouetteInput):
    """Clips in time order, drawn from a run that is four frames longer."""

    order: Literal["random", "time"] = "time"
    skip: Annotated[int, Field(ge=0, le=10_000)] = 4
    size: Literal[64] = 64
    """Rows of a silhouette, and of a skeleton map."""


class SkeletonGaitPPConfig(DeepGaitV2Sizes):
    """SkeletonGait++ (Fan et al. 2024)."""

    family: Literal["skeletongait++"] = "skeletongait++"
    input: SkeletonGaitPPInput = SkeletonGaitPPInput()
    compare: Literal["linear", "neck"] = "linear"
    """At test, compare the output of the linear maps, or that of BNNeck."""


def _implementation() -> Implementation[Any]:
    from core.models.skeletongaitpp.implementation import SkeletonGaitPPImplementation

    return SkeletonGaitPPImplementation()


SKELETONGAITPP = Family(
    title="SkeletonGait++",
    inputs=frozenset({"silhouettes", "skeleton maps"}),
    model=SkeletonGaitPPConfig,
    losses=LossConfig,
    implementation=_implementation,
    presets="core.models.skeletongaitpp",
)
