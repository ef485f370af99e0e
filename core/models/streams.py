"""Settings of models that read no frames, but silhouettes, poses or other images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from core.models.clips import ClipInput
from core.models.family import FamilyConfig
from core.settings import Probability


class PoseInput(ClipInput):
    """Which rows of poses make a clip; in time order, as most models on poses need them."""

    order: Literal["random", "time"] = "time"


class MapInput(ClipInput):
    """How skeleton maps, parsing or flow become clips; all inputs of a clip are changed alike."""

    order: Literal["random", "time"] = "time"
    shrink: Literal[1, 2, 4] = 1
    """Squares of as many pixels a side become one, their mean: 2 gives 32x22 pixels of 64x44."""
    perspective: Probability = 0.0
    rotate: Probability = 0.0
    erase: Probability = 0.0


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
