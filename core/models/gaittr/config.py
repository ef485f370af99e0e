"""Settings of Gait-TR. Defaults are OpenGait's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from core.losses.config import TripletConfig
from core.models.family import Family
from core.models.poses import PoseFamilyConfig
from core.settings import NonNegative, Width

if TYPE_CHECKING:
    from core.models.base import Implementation


class GaitTRLosses(TripletConfig):
    """The triplet loss, with the authors' margin."""

    margin: NonNegative = 0.3


class GaitTRConfig(PoseFamilyConfig):
    """Gait-TR (Zhang et al. 2023)."""

    family: Literal["gait-tr"] = "gait-tr"
    channels: Annotated[tuple[Width, ...], Field(min_length=1, max_length=16)] = (64, 64, 128, 256)
    """Of the blocks."""
    heads: Annotated[int, Field(gt=0, le=64)] = 8
    """Of the attention between joints."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    embedding: Width = 128

    @property
    def strips(self) -> int:
        """The embedding has no strips."""
        return 1


def _implementation() -> Implementation[Any]:
    from core.models.gaittr.implementation import GaitTRImplementation

    return GaitTRImplementation()


GAITTR = Family(
    title="Gait-TR",
    inputs=frozenset({"poses"}),
    model=GaitTRConfig,
    losses=GaitTRLosses,
    implementation=_implementation,
    presets="core.models.gaittr",
)
