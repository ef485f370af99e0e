"""Settings of GaitGraph2. Defaults are OpenGait's for CASIA-B."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from core.losses.config import ContrastiveConfig
from core.models.family import Family
from core.models.poses import PoseFamilyConfig
from core.settings import Positive, Width

if TYPE_CHECKING:
    from core.models.base import Implementation

Two = Annotated[tuple[Width, ...], Field(min_length=2, max_length=2)]


class GaitGraph2Config(PoseFamilyConfig):
    """GaitGraph2 (Teepe et al. 2022)."""

    family: Literal["gaitgraph2"] = "gaitgraph2"
    branch: Two = (64, 32)
    """Channels of the two modules of each branch."""
    trunk: Two = (128, 256)
    """Channels of the two modules behind the branches."""
    reduction: Width = 8
    """Of the bottlenecks; 4 for CCPG."""
    view: Width = 128
    """Channels that one view of a clip is embedded in."""
    views: bool = True
    """At test, embed the clip, the clip backwards, and the clip with left and right renamed."""
    frames: Positive = 60
    """Of a sequence at test, from its middle; 30 for CCPG."""

    @property
    def embedding(self) -> int:
        """Channels of an embedding: those of all views."""
        return self.view * (3 if self.views else 1)

    @property
    def strips(self) -> int:
        """The embedding has no strips."""
        return 1


def _implementation() -> Implementation[Any]:
    from core.models.gaitgraph2.implementation import GaitGraph2Implementation

    return GaitGraph2Implementation()


GAITGRAPH2 = Family(
    title="GaitGraph2",
    inputs=frozenset({"poses"}),
    model=GaitGraph2Config,
    losses=ContrastiveConfig,
    implementation=_implementation,
    presets="core.models.gaitgraph2",
)
