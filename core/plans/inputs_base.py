"""What all kinds of inputs of a training have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from torch import nn

from core.config import Config
from core.estimates.stages import Stage
from core.manifests.schema import DatasetManifest
from core.models.backbones.image import ImageEncoder
from core.models.base import Implementation, implementation_of
from core.plans.stream_data import TrainingData
from core.plans.warmup import WarmupPlan
from core.plans.warmup_weights import finished_checkpoint, load_warmup
from core.progress import Progress
from core.runs.run import Run
from core.storage.store import Store
from core.storage.subjects import present_subjects
from core.training.engine import process_state, run_on_main
from core.workspace import Workspace


class TrainingInputs(ABC):
    """What a training reads.

    Made by :func:`core.plans.training_inputs.training_inputs`.

    Args:
        workspace: Where stored inputs live.
        store: The store.
        manifest: Its dataset.
        config: Resolved configuration.
        warmups: The warm-ups that come first, in order.
    """

    def __init__(
        self,
        workspace: Workspace,
        store: Store,
        manifest: DatasetManifest,
        config: Config,
        warmups: Sequence[WarmupPlan],
    ) -> None:
        self.workspace, self.store, self.manifest = workspace, store, manifest
        self.config, self.warmups = config, tuple(warmups)
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
        """What making them will take, warm-ups included; nothing is written."""

    @abstractmethod
    def sample(self) -> TrainingData:
        """Clips for an estimate; nothing is written."""

    @abstractmethod
    def stored(self, engine: Accelerator, progress: Progress) -> TrainingData:
        """The clips; what they are read from is made where it is missing."""

    @abstractmethod
    def new_model(self, classes: int) -> nn.Module:
        """A new model, as if there were no warm-up."""

    def model(self, classes: int, warmups: Sequence[Run]) -> nn.Module:
        """A model as at the start of its training.

        Args:
            classes: Training identities.
            warmups: Those that are finished, in the order of :attr:`warmups`; none for a model of
                the same sizes.
        """
        model = self.new_model(classes)
        for plan, run in zip(self.warmups, warmups, strict=False):
            load_warmup(model, finished(run), self.config, plan.settings)
        return model

    def warmed_up(self, progress: Progress) -> tuple[Run, ...]:
        """Run the warm-ups that come first, or take those that are done."""
        return tuple(self._warmed_up(warmup, progress) for warmup in self.warmups)

    def _warmed_up(self, warmup: WarmupPlan, progress: Progress) -> Run:
        if (run := self.take(warmup)) is not None:
            return run
        progress.say(
            f"No warm-up of the {warmup.settings.part} for {self.manifest.name} with "
            "these settings: running it."
        )
        return warmup.run(progress, self.encoder).run

    @property
    def encoder(self) -> ImageEncoder | None:
        """The image encoder; None for a family without one."""
        return None

    def take(self, warmup: WarmupPlan) -> Run | None:
        """A warm-up that is complete; None for one that is not."""
        return None if warmup.left else warmup.existing


def finished(warmup: Run) -> Path:
    """The last checkpoint of a finished warm-up, the same in all processes."""
    return run_on_main(process_state(), lambda: finished_checkpoint(warmup))


def clip_length(config: Config) -> int:
    """T; a plan has taken it from the dataset where none is set."""
    frames = config.data.frames
    assert frames is not None, "with_frames comes first"
    return frames
