"""Settings of GaitBase on silhouettes. Defaults are OpenGait's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from core.losses.config import LossConfig
from core.models.family import Family
from core.models.silhouettes import SilhouetteFamilyConfig
from core.settings import Width

if TYPE_CHECKING:
    from core.models.base import Implementation


class GaitBaseConfig(SilhouetteFamilyConfig):
    """GaitBase (Fan et al., CVPR 2023)."""

    family: Literal["gaitbase"] = "gaitbase"
    channels: Annotated[tuple[Width, ...], Field(min_length=4, max_length=4)] = (64, 128, 256, 512)
    strips: Width = 16
    embedding: Width = 256


def _implementation() -> Implementation[Any]:
    from core.models.gaitbase.implementation import GaitBaseImplementation

    return GaitBaseImplementation()


GAITBASE = Family(
    title="GaitBase",
    inputs=frozenset({"silhouettes"}),
    model=GaitBaseConfig,
    losses=LossConfig,
    implementation=_implementation,
    presets="core.models.gaitbase",
)
