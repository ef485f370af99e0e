"""What names a family of models: its settings and inputs, known without torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from core.inputs import Input
from core.settings import Node
from core.steps import TrainConfig, WarmupConfig

if TYPE_CHECKING:
    from core.models.base import Implementation


class FamilyConfig(Node):
    """Settings of a model; each family has its own.

    ``family`` is the family's name in :data:`core.models.families.FAMILIES`.
    """

    family: str

    @property
    def inputs_read(self) -> frozenset[Input] | None:
        """What the model reads, where settings choose that; None: what its family does."""
        return None


# What only some families can do.
Capability = Literal["stored features", "text cache", "views", "films"]


@dataclass(frozen=True, slots=True)
class Family:
    """A family of models.

    Attributes:
        title: Its name as printed, and that of its row in the paper's Tables 1 to 3.
        inputs: What it reads; where settings choose that, by default.
        model: Class of its settings.
        losses: Class of the settings of its losses.
        implementation: Imports and makes what needs torch.
        capabilities: What it can do that not all families can: training on stored features of a
            frozen encoder, caching its text, views of its parts in pictures, and
            films and folders of frames without silhouettes.
        warmups: Classes of the settings of its warm-ups, where parts of the model are trained
            before the whole, in this order; its implementation has a
            :class:`core.models.warmup.Warmup` for each.
        train: Class of the settings of its training.
        presets: Package that holds its ``presets.yaml``; None without presets (LMGait's are
            those of ``core.config``).
    """

    title: str
    inputs: frozenset[Input]
    model: type[FamilyConfig]
    losses: type[Node]
    implementation: Callable[[], Implementation[Any]]
    capabilities: frozenset[Capability] = frozenset()
    warmups: tuple[type[WarmupConfig], ...] = ()
    train: type[TrainConfig] = TrainConfig
    presets: str | None = None
