"""What all kinds of inputs of a training have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from accelerate import Accelerator
from torch import nn

from core.config import Config
from core.data.dataset import TrainingSequences
from core.data.stream_clips import StreamClips
from core.estimates.stages import Stage
from core.manifests.schema import DatasetManifest
from core.models.base import Implementation, implementation_of
from core.plans.warmup import WarmupPlan
from core.progress import Progress
from core.runs.run import Run
from core.storage.store import Store
from core.storage.subjects import present_subjects
from core.workspace import Workspace

TrainingData = TrainingSequences | StreamClips


class TrainingInputs(ABC):
    """What a training reads.

    Made by :func:`core.plans.training_inputs.training_inputs`.

    Args:
        workspace: Where stored inputs live.
        store: The store.
        manifest: Its dataset.
        config: Resolved configuration.
        warmup: The warm-up that comes first; None for families without one.
    """

    def __init__(
        self,
        workspace: Workspace,
        store: Store,
        manifest: DatasetManifest,
        config: Config,
        warmup: WarmupPlan | None,
    ) -> None:
        self.workspace, self.store, self.manifest = workspace, store, manifest
        self.config, self.warmup = config, warmup
        self.implementation: Implementation[Any] = implementation_of(config.model)

    @property
    def subjects(self) -> int:
        """Training subjects of the store."""
        return len(present_subjects(self.store, self.manifest.subjects.train))

    @property
    @abstractmethod
    def step_before(self) -> str | None:
        """Name of the step that comes before the training; None where there is none."""

    @abstractmethod
    def stages(self, engine: Accelerator, progress: Progress) -> list[Stage]:
        """What making them will take, a warm-up included; nothing is written."""

    @abstractmethod
    def warmed_up(self, progress: Progress) -> Run | None:
        """Run the warm-up that comes first, or take it where it is done."""

    @abstractmethod
    def sample(self) -> TrainingData:
        """Clips for an estimate; nothing is written."""

    @abstractmethod
    def stored(self, engine: Accelerator, progress: Progress) -> TrainingData:
        """The clips; what they are read from is made where it is missing."""

    @abstractmethod
    def model(self, classes: int, warmup: Run | None) -> nn.Module:
        """A new model, as at the start of its training."""


def clip_length(config: Config) -> int:
    """T; a plan has taken it from the dataset where none is set."""
    frames = config.data.frames
    assert frames is not None, "with_frames comes first"
    return frames
