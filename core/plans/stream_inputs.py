"""What a training without frames reads: silhouettes and maps, which are kept, poses and others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import cast

from accelerate import Accelerator
from torch import nn

from core.data.augment import Augmentation
from core.data.clips import FrameChoice
from core.data.cutting import PIECE
from core.data.sources import Inputs, RowSource, StoredRows
from core.data.stream_clips import StreamClips
from core.estimates.stages import Stage, counted, sample
from core.inference.model_inputs import drawing_of, inputs_now, silhouettes_of
from core.inference.silhouettes import (
    SilhouettesPlan,
    make_silhouettes,
    plan_maps,
    plan_silhouettes,
)
from core.inputs import Input, SilhouetteInput
from core.models.families import inputs_of
from core.models.stream_base import StreamImplementation
from core.models.streams import StreamFamilyConfig
from core.plans.inputs_base import TrainingData, TrainingInputs, clip_length
from core.progress import Progress
from core.runs.run import Run
from core.storage.subjects import sequences_of
from core.training.engine import reading_workers, run_on_main
from core.training.pace import measure

# Inputs that are made of a store's content, and kept beside it.
MADE: tuple[Input, ...] = ("silhouettes", "skeleton maps")


class StreamInputs(TrainingInputs):
    """Silhouettes and skeleton maps, made once and kept; poses and others as they are stored."""

    @property
    def step_before(self) -> str | None:
        """Cutting silhouettes, drawing maps."""
        return " and ".join(self._made) or None

    @property
    def settings(self) -> StreamFamilyConfig:
        """Settings of the model."""
        return cast(StreamFamilyConfig, self.config.model)

    @property
    def _made(self) -> list[Input]:
        return [name for name in MADE if name in inputs_of(self.config.model)]

    def stages(self, engine: Accelerator, progress: Progress) -> list[Stage]:
        """Making what is missing."""
        del engine, progress
        return [
            self._stage(name, plan)
            for name, plan in ((name, self._plan(name)) for name in self._made)
            if not plan.complete
        ]

    def _stage(self, name: Input, plan: SilhouettesPlan) -> Stage:
        now = inputs_now(self.store, self.manifest, self.config).sources[name]
        counts = dict(chain.from_iterable(plan.info.parts))

        def steps() -> Iterator[float]:
            for index in sample(range(len(self.store.sequences))):
                now.usable(index)
                yield max(1, counts.get(index, 0))

        pace, info = measure(steps()), plan.info
        how = "drawn" if name == "skeleton maps" else "cut"
        basis = (
            f"{counted(pace.steps, 'sequences')}, {how} by one process; their size before packing"
        )
        seconds, shared = info.frames * pace.seconds, str(plan.path)
        title = name.capitalize()
        return Stage(title, info.frames, "frames", seconds, info.bytes, basis, shared=shared)

    def warmed_up(self, progress: Progress) -> Run | None:
        """There is no warm-up."""
        del progress
        return None

    def sample(self) -> TrainingData:
        """Clips of a few sequences, which are made now: as many as one batch has."""
        data, numbers = self.config.data, dict[str, list[int]]()
        inputs = inputs_now(self.store, self.manifest, self.config)
        for number in sequences_of(self.store, self.manifest.subjects.train):
            numbers.setdefault(self.store.sequences[number].key.subject, []).append(number)
        usable = (
            list(islice((n for n in own if inputs.count(n)), data.sequences))
            for own in numbers.values()
        )
        sequences = list(chain.from_iterable(islice(filter(None, usable), data.identities)))
        return self._clips(inputs, sequences)

    def stored(self, engine: Accelerator, progress: Progress) -> TrainingData:
        """Clips of what is kept and stored."""
        sources: dict[Input, RowSource] = {}
        for name in sorted(inputs_of(self.config.model)):
            if name in MADE:
                sources[name] = self._kept(name, engine, progress)
            else:
                sources[name] = StoredRows(self.store, name)
        return self._clips(Inputs(self.store, sources, silhouettes_of(self.config)))

    def model(self, classes: int, warmup: Run | None) -> nn.Module:
        """A new model."""
        del warmup
        return self.implementation.build(self.config.model, classes=classes, seed=self.config.seed)

    def _kept(self, name: Input, engine: Accelerator, progress: Progress) -> RowSource:
        plan = run_on_main(engine, lambda: self._plan(name))
        piece = PIECE * plan.info.size**2
        return make_silhouettes(
            plan,
            self.store,
            self.manifest,
            workers=reading_workers(engine, self.config.data.workers, piece),
            engine=engine,
            progress=progress,
            drawing=drawing_of(self.config) if name == "skeleton maps" else None,
        )

    def _plan(self, name: Input) -> SilhouettesPlan:
        if name == "skeleton maps":
            drawing = drawing_of(self.config)
            return plan_maps(self.workspace, self.store, self.manifest, drawing)
        settings = cast(SilhouetteInput, self.settings.input)
        size, which = settings.size, settings.silhouettes
        return plan_silhouettes(self.workspace, self.store, self.manifest, size, which)

    def _clips(self, inputs: Inputs, sequences: Sequence[int] | None = None) -> StreamClips:
        settings, flip = self.settings, self.config.data.flip
        implementation = cast(StreamImplementation[StreamFamilyConfig], self.implementation)
        return StreamClips(
            inputs,
            self.manifest.subjects.train,
            frames=clip_length(self.config),
            choice=FrameChoice.of(settings.input),
            augmentation=Augmentation.of(settings.input, flip),
            change=implementation.pose_change(settings, flip),
            sequences=sequences,
        )
