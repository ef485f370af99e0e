"""Settings of MultiGait++: of its network those of DeepGaitV2, and what its two parts read."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from core.inputs import Input, SilhouetteInput
from core.losses.config import LossConfig
from core.models.deepgaitv2.config import DeepGaitV2Sizes
from core.models.family import Family

if TYPE_CHECKING:
    from core.models.base import Implementation

PartInput = Literal["silhouettes", "parsing", "flow", "skeleton maps"]
PartInputs = Annotated[tuple[PartInput, ...], Field(min_length=1)]
# First channel and end of what is read together.
Ranges = tuple[tuple[int, int], ...]
# Channels of each input of a frame, in the order in which inputs lie.
CHANNELS: dict[Input, int] = {"silhouettes": 1, "parsing": 1, "flow": 3, "skeleton maps": 2}


class MultiGaitPPInput(SilhouetteInput):
    """Clips in time order, drawn from a run that is some frames longer."""

    order: Literal["random", "time"] = "time"
    skip: Annotated[int, Field(ge=0, le=10_000)] = 8
    size: Literal[64] = 64
    """Rows of each input."""


class MultiGaitPPConfig(DeepGaitV2Sizes):
    """MultiGait++ (Jin et al. 2024)."""

    family: Literal["multigait++"] = "multigait++"
    input: MultiGaitPPInput = MultiGaitPPInput()
    first: PartInputs = ("silhouettes", "parsing")
    """What the first part reads: silhouettes, parsing, flow, skeleton maps, each once in all."""
    second: PartInputs = ("flow",)
    """What the second part reads."""

    @model_validator(mode="after")
    def _each_input_once(self) -> MultiGaitPPConfig:
        twice = [name for name, count in Counter(self.first + self.second).items() if count > 1]
        if twice:
            raise ValueError(
                f"first and second: {' and '.join(twice)} stands there twice; each input belongs "
                "to one part, and once (for a model on one input, train deepgaitv2 or another)"
            )
        return self

    @property
    def inputs_read(self) -> frozenset[Input]:
        """What both parts read."""
        return frozenset(self.first + self.second)

    @property
    def channels_read(self) -> tuple[Ranges, Ranges]:
        """Which channels of a frame each part reads, of the images of all inputs one after another.

        Inputs lie in the order of :data:`CHANNELS`, those that are not read left out.
        """
        places: dict[Input, tuple[int, int]] = {}
        end = 0
        for name, count in CHANNELS.items():
            if name in self.inputs_read:
                places[name] = (end, end + count)
                end += count
        first, second = (
            tuple(place for name, place in places.items() if name in part)
            for part in (self.first, self.second)
        )
        return first, second


def _implementation() -> Implementation[Any]:
    from core.models.multigaitpp.implementation import MultiGaitPPImplementation

    return MultiGaitPPImplementation()


MULTIGAITPP = Family(
    title="MultiGait++",
    inputs=frozenset({"silhouettes", "parsing", "flow"}),
    model=MultiGaitPPConfig,
    losses=LossConfig,
    implementation=_implementation,
    presets="core.models.multigaitpp",
)
