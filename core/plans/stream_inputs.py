"""What a training without an image encoder reads: silhouettes, maps, poses, frames with masks."""

from __future__ import annotations

from typing import cast

from accelerate import Accelerator
from torch import nn

from core.data.clips import FrameChoice
from core.estimates.stages import Stage
from core.models.families import inputs_of
from core.models.streams import StreamFamilyConfig
from core.plans.inputs_base import TrainingInputs, clip_length
from core.plans.stream_data import StreamData, TrainingData
from core.progress import Progress


class StreamInputs(TrainingInputs):
    """Silhouettes and skeleton maps, made once and kept; the rest as it is stored."""

    @property
    def step_before(self) -> str | None:
        """Cutting silhouettes, drawing maps."""
        return " and ".join(self._data.derived) or None

    def stages(self, engine: Accelerator, progress: Progress) -> list[Stage]:
        """Warm-ups, and making what is missing."""
        del engine
        warmups = [stage for warmup in self.warmups for stage in warmup.stages(progress)]
        return [*warmups, *self._data.stages()]

    def sample(self) -> TrainingData:
        """Clips of a few sequences, which are made now: as many as one batch has."""
        data = self.config.data
        return self._data.sample(
            clip_length(self.config), self._choice, data.identities, data.sequences
        )

    def stored(self, engine: Accelerator, progress: Progress) -> TrainingData:
        """Clips of what is kept and stored."""
        return self._data.stored(clip_length(self.config), self._choice, engine, progress)

    def new_model(self, classes: int) -> nn.Module:
        """A new model."""
        return self.implementation.build(self.config.model, classes=classes, seed=self.config.seed)

    @property
    def _choice(self) -> FrameChoice:
        return FrameChoice.of(cast(StreamFamilyConfig, self.config.model).input)

    @property
    def _data(self) -> StreamData:
        inputs = inputs_of(self.config.model)
        return StreamData(self.workspace, self.store, self.manifest, self.config, inputs)
