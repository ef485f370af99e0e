"""Settings of models that read no frames, but silhouettes, poses or other images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.inputs import ClipInput
from core.models.family import FamilyConfig


class StreamFamilyConfig(FamilyConfig):
    """Settings of a model that reads no frames.

    Each family has ``embedding`` and ``strips``, as fields or properties: its embeddings are float
    [embedding, strips].
    """

    input: ClipInput = ClipInput()

    if TYPE_CHECKING:  # fields of each family, in its own order

        @property
        def embedding(self) -> int: ...  # noqa: D102

        @property
        def strips(self) -> int: ...  # noqa: D102
