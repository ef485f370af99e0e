"""Settings of GPGait. Defaults are FastPoseGait's for CASIA-B and SUSTech1K."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from core.inputs import NoisyPoseInput
from core.losses.config import LossConfig
from core.models.family import Family
from core.models.poses import PoseFamilyConfig
from core.settings import NonNegative, Width

if TYPE_CHECKING:
    from core.models.base import Implementation


class GPGaitInput(NoisyPoseInput):
    """Clips of frames in any order."""

    order: Literal["random", "time"] = "random"


class GPGaitLosses(LossConfig):
    """The triplet loss of the hardest clips, and cross entropy without smoothing."""

    margin: NonNegative = 0.3
    label_smoothing: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0


class GPGaitConfig(PoseFamilyConfig):
    """GPGait (Fu et al. 2023)."""

    family: Literal["gpgait"] = "gpgait"
    input: GPGaitInput = GPGaitInput()
    channels: Annotated[tuple[Width, ...], Field(min_length=4, max_length=4)] = (64, 64, 128, 256)
    """Of the three first blocks and of the last ones."""
    turn: Literal["off", "published", "exact"] = "off"
    """Turn each frame so that the hips lie below the neck; ``published`` bends the figure, as the
    authors' code does, and is what they use for CCPG."""
    embedding: Width = 256

    @property
    def strips(self) -> int:
        """Parts of joints and of bones, and parts of angles."""
        return 8 + 8 + 3


def _implementation() -> Implementation[Any]:
    from core.models.gpgait.implementation import GPGaitImplementation

    return GPGaitImplementation()


GPGAIT = Family(
    title="GPGait",
    inputs=frozenset({"poses"}),
    model=GPGaitConfig,
    losses=GPGaitLosses,
    implementation=_implementation,
    presets="core.models.gpgait",
)
