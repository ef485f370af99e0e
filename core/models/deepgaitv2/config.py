"""Settings of DeepGaitV2. Defaults are those for CASIA-B, CCPG, SUSTech1K and OU-MVLP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from core.inputs import SilhouetteInput
from core.losses.config import LossConfig
from core.models.family import Family
from core.models.silhouettes import SilhouetteFamilyConfig
from core.models.streams import StreamFamilyConfig
from core.settings import Width

if TYPE_CHECKING:
    from core.models.base import Implementation

Depth = Annotated[int, Field(gt=0, le=64)]


class DeepGaitV2Sizes(StreamFamilyConfig):
    """Sizes of the network, for every family that is built on it."""

    channels: Annotated[tuple[Width, ...], Field(min_length=4, max_length=4)] = (64, 128, 256, 512)
    depths: Annotated[tuple[Depth, ...], Field(min_length=4, max_length=4)] = (1, 1, 1, 1)
    """Blocks of each stage; (1, 4, 4, 1) for Gait3D and GREW."""
    blocks: Literal["p3d", "2d", "3d"] = "p3d"
    """Blocks of the stages after the first."""
    strips: Width = 16
    embedding: Width = 256


class DeepGaitV2Input(SilhouetteInput):
    """Clips in time order, drawn from a run that is four frames longer."""

    order: Literal["random", "time"] = "time"
    skip: Annotated[int, Field(ge=0, le=10_000)] = 4


class DeepGaitV2Config(DeepGaitV2Sizes, SilhouetteFamilyConfig):
    """DeepGaitV2 (Fan et al. 2023)."""

    family: Literal["deepgaitv2"] = "deepgaitv2"
    input: DeepGaitV2Input = DeepGaitV2Input()


def _implementation() -> Implementation[Any]:
    from core.models.deepgaitv2.implementation import DeepGaitV2Implementation

    return DeepGaitV2Implementation()


DEEPGAITV2 = Family(
    title="DeepGaitV2",
    inputs=frozenset({"silhouettes"}),
    model=DeepGaitV2Config,
    losses=LossConfig,
    implementation=_implementation,
    presets="core.models.deepgaitv2",
)
