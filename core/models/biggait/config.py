"""Settings of BigGait. Defaults are the authors' for CCPG and SUSTech1K."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from core.losses.config import LossConfig
from core.models.family import Family
from core.models.rgb import MaskedFamilyConfig
from core.settings import NonNegative, Positive, Probability, Width

if TYPE_CHECKING:
    from core.models.base import Implementation


class BigGaitConfig(MaskedFamilyConfig):
    """BigGait (Ye et al., CVPR 2024)."""

    family: Literal["biggait"] = "biggait"
    strips: Width = 16
    zeroed: Probability = 0.2
    """Share of the training clips that lose either their denoising or their appearance maps."""
    mask_iterations: Positive = 500
    """Iterations of the training in which the mask branch trains along; it is frozen then."""


class BigGaitLosses(LossConfig):
    """Weights of BigGait's losses; those of the mask branch end with its training."""

    smoothness: NonNegative = 0.01
    diversity: NonNegative = 5.0
    mask_smoothness: NonNegative = 0.02
    mask_reconstruction: NonNegative = 1.0


def _implementation() -> Implementation[Any]:
    from core.models.biggait.implementation import BigGaitImplementation

    return BigGaitImplementation()


BIGGAIT = Family(
    title="BigGait",
    inputs=frozenset({"rgb"}),
    model=BigGaitConfig,
    losses=BigGaitLosses,
    implementation=_implementation,
    capabilities=frozenset({"stored features", "films"}),
    presets="core.models.biggait",
)
