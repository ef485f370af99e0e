"""Settings of models that read silhouettes."""

from __future__ import annotations

from core.inputs import SilhouetteInput
from core.models.streams import StreamFamilyConfig
from core.records import SilhouetteKind

# How tables and reports name the silhouettes that a model reads.
SILHOUETTES_IN_WORDS: dict[SilhouetteKind, str] = {
    "cut": "cut from the store's masks",
    "aligned": "delivered, aligned",
}


class SilhouetteFamilyConfig(StreamFamilyConfig):
    """Settings of a model on silhouettes."""

    input: SilhouetteInput = SilhouetteInput()
