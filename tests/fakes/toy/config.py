"""Settings of the toy, and what joins its parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from core.losses.config import TripletConfig
from core.models.family import Family
from core.models.silhouettes import SilhouetteFamilyConfig
from core.settings import NonNegative, Width

if TYPE_CHECKING:
    from core.models.base import Implementation


class ToyConfig(SilhouetteFamilyConfig):
    """Settings of the toy."""

    family: Literal["toy"] = "toy"
    embedding: Width = 4

    @property
    def strips(self) -> int:
        """Upper and lower half."""
        return 2


class ToyLosses(TripletConfig):
    """Settings of its losses."""

    area: NonNegative = 1.0


def _implementation() -> Implementation[Any]:
    from tests.fakes.toy.implementation import ToyImplementation

    return ToyImplementation()


TOY = Family(
    title="Toy",
    inputs=frozenset({"silhouettes"}),
    model=ToyConfig,
    losses=ToyLosses,
    implementation=_implementation,
    presets="tests.fakes.toy",
)
