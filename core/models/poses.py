"""Settings of models that read poses."""

from __future__ import annotations

from core.inputs import NoisyPoseInput
from core.models.streams import StreamFamilyConfig


class PoseFamilyConfig(StreamFamilyConfig):
    """Settings of a model on poses."""

    input: NoisyPoseInput = NoisyPoseInput()
