"""Settings of ParsingGait. Defaults are those published for Gait3D-Parsing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from core.inputs import LabelInput
from core.losses.config import LossConfig
from core.models.family import Family
from core.models.parsinggait.graphs import GRAPHS, GraphName
from core.models.streams import StreamFamilyConfig
from core.settings import Probability, Width

if TYPE_CHECKING:
    from core.models.base import Implementation


class ParsingGaitConfig(StreamFamilyConfig):
    """ParsingGait (Zheng et al. 2023)."""

    family: Literal["parsinggait"] = "parsinggait"
    input: LabelInput = LabelInput()
    channels: Annotated[tuple[Width, ...], Field(min_length=4, max_length=4)] = (64, 128, 256, 512)
    rows: Width = 16
    """Horizontal strips, as GaitBase has them; each part of a graph is one more."""
    graphs: Literal["coarse", "fine", "both"] = "coarse"
    """Graphs of body parts: of 5 parts, of 11, or both."""
    dropout: Probability = 0.5
    """Of features before each graph convolution."""
    embedding: Width = 256

    @property
    def graph_names(self) -> tuple[GraphName, ...]:
        """The graphs."""
        return ("coarse", "fine") if self.graphs == "both" else (self.graphs,)

    @property
    def strips(self) -> int:
        """P: horizontal strips, then the parts of each graph."""
        return self.rows + sum(len(GRAPHS[name].parts) for name in self.graph_names)


def _implementation() -> Implementation[Any]:
    from core.models.parsinggait.implementation import ParsingGaitImplementation

    return ParsingGaitImplementation()


PARSINGGAIT = Family(
    title="ParsingGait",
    inputs=frozenset({"parsing"}),
    model=ParsingGaitConfig,
    losses=LossConfig,
    implementation=_implementation,
    presets="core.models.parsinggait",
)
