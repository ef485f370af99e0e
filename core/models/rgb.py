"""Settings of models on maps of a frozen image encoder's features, masked without silhouettes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from core.inputs import ClipInput
from core.models.backbones.config import EncoderFamilyConfig
from core.settings import Width


class MaskedFamilyConfig(EncoderFamilyConfig):
    """Settings that BigGait and BiggerGait share."""

    input: ClipInput = ClipInput()
    maps: Annotated[int, Field(ge=2, le=65_536)] = 16
    """Channels of a map that goes into a gait network."""
    factor: Literal[1, 2, 4] = 2
    """Pixels of the maps for each patch, in height and in width."""
    channels: Annotated[tuple[Width, ...], Field(min_length=4, max_length=4)] = (64, 128, 256, 512)
    embedding: Width = 256
