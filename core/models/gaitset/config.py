"""Settings of GaitSet. Defaults are the authors'."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from core.losses.config import TripletConfig
from core.models.family import Family
from core.models.silhouettes import SilhouetteFamilyConfig
from core.settings import Width

if TYPE_CHECKING:
    from core.models.base import Implementation


class GaitSetConfig(SilhouetteFamilyConfig):
    """GaitSet (Chao et al., AAAI 2019)."""

    family: Literal["gaitset"] = "gaitset"
    channels: Annotated[tuple[Width, ...], Field(min_length=3, max_length=3)] = (32, 64, 128)
    scales: Annotated[tuple[Width, ...], Field(min_length=1, max_length=8)] = (16, 8, 4, 2, 1)
    """Numbers of strips, all of which are taken."""
    embedding: Width = 256

    @property
    def strips(self) -> int:
        """Strips of an embedding: all of both branches."""
        return 2 * sum(self.scales)


def _implementation() -> Implementation[Any]:
    from core.models.gaitset.implementation import GaitSetImplementation

    return GaitSetImplementation()


GAITSET = Family(
    title="GaitSet",
    inputs=frozenset({"silhouettes"}),
    model=GaitSetConfig,
    losses=TripletConfig,
    implementation=_implementation,
    presets="core.models.gaitset",
)
