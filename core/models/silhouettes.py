"""Settings of models that read silhouettes."""

from __future__ import annotations

from typing import Literal

from core.models.clips import ClipInput
from core.models.family import FamilyConfig
from core.settings import Probability


class SilhouetteInput(ClipInput):
    """How silhouettes become clips (Fan et al., "OpenGait")."""

    size: Literal[64, 128] = 64
    """Rows of a silhouette; the network gets 64x44 or 128x88 pixels."""
    perspective: Probability = 0.0
    rotate: Probability = 0.0
    erase: Probability = 0.0


class SilhouetteFamilyConfig(FamilyConfig):
    """Settings of a model on silhouettes."""

    input: SilhouetteInput = SilhouetteInput()
