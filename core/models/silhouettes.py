"""Settings of models that read silhouettes."""

from __future__ import annotations

from typing import Literal

from core.models.clips import ClipInput
from core.models.streams import StreamFamilyConfig
from core.records import SilhouetteKind
from core.settings import Probability


class SilhouetteInput(ClipInput):
    """How silhouettes become clips (Fan et al., "OpenGait")."""

    silhouettes: SilhouetteKind = "cut"
    """Cut from the store's masks; or aligned, as the dataset's authors cut and delivered them."""
    size: Literal[64, 128] = 64
    """Rows of a silhouette; the network gets 64x44 or 128x88 pixels."""
    shrink: Literal[1, 2, 4] = 1
    """Squares of as many pixels a side become one, their mean: 2 gives 32x22 pixels of 64x44."""
    perspective: Probability = 0.0
    rotate: Probability = 0.0
    erase: Probability = 0.0

    @property
    def rows(self) -> int:
        """Rows that the network works on."""
        return self.size // self.shrink


# How tables and reports name the silhouettes that a model reads.
SILHOUETTES_IN_WORDS: dict[SilhouetteKind, str] = {
    "cut": "cut from the store's masks",
    "aligned": "delivered, aligned",
}


class SilhouetteFamilyConfig(StreamFamilyConfig):
    """Settings of a model on silhouettes."""

    input: SilhouetteInput = SilhouetteInput()
