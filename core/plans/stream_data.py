"""Clips of a store for a family without an image encoder, for its training and its warm-ups."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import chain, islice
from typing import cast

from accelerate import Accelerator

from core.config import Config
from core.data.augment import Augmentation
from core.data.clips import FrameChoice
from core.data.cutting import PIECE
from core.data.dataset import TrainingSequences
from core.data.sources import Inputs, RowSource
from core.data.stream_clips import StreamClips
from core.estimates.stages import Stage, counted, sample
from core.inference.model_inputs import drawing_of, inputs_now, silhouettes_of, stored_source
from core.inference.silhouettes import (
    SilhouettesPlan,
    make_silhouettes,
    plan_maps,
    plan_silhouettes,
)
from core.inputs import Input, SilhouetteInput
from core.manifests.schema import DatasetManifest
from core.models.base import implementation_of
from core.models.stream_base import StreamImplementation
from core.models.streams import StreamFamilyConfig
from core.progress import Progress
from core.storage.store import Store
from core.storage.subjects import sequences_of
from core.training.engine import reading_workers, run_on_main
from core.training.pace import measure
from core.workspace import Workspace

TrainingData = TrainingSequences | StreamClips

# Inputs that are made of a store's content, and kept beside it.
DERIVED: tuple[Input, ...] = ("silhouettes", "skeleton maps")


class StreamData:
    """What is made once and kept, and the rest as it is stored.

    Args:
        workspace: Where it is kept.
        store: The store.
        manifest: Its dataset.
        config: Resolved configuration.
        inputs: What is read.
    """

    def __init__(
        self,
        workspace: Workspace,
        store: Store,
        manifest: DatasetManifest,
        config: Config,
        inputs: Collection[Input],
    ) -> None:
        self._workspace, self._store, self._manifest = workspace, store, manifest
        self._config, self._inputs = config, sorted(inputs)

    @property
    def derived(self) -> list[Input]:
        """Inputs that are made and kept."""
        return [name for name in DERIVED if name in self._inputs]

    def stages(self) -> list[Stage]:
        """Making what is missing."""
        plans = ((name, self._plan(name)) for name in self.derived)
        return [self._stage(name, plan) for name, plan in plans if not plan.complete]

    def _stage(self, name: Input, plan: SilhouettesPlan) -> Stage:
        now = inputs_now(self._store, self._manifest, self._config).sources[name]
        counts = dict(chain.from_iterable(plan.info.parts))

        def steps() -> Iterator[float]:
            for index in sample(range(len(self._store.sequences))):
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

    def sample(
        self, frames: int, choice: FrameChoice, identities: int, sequences: int
    ) -> StreamClips:
        """Clips of a few sequences, which are made now: as many as one batch has.

        Args:
            frames: Of a clip.
            choice: Which frames.
            identities: Of a batch.
            sequences: Of each identity.
        """
        numbers = dict[str, list[int]]()
        inputs = inputs_now(self._store, self._manifest, self._config, self._inputs)
        for number in sequences_of(self._store, self._manifest.subjects.train):
            numbers.setdefault(self._store.sequences[number].key.subject, []).append(number)
        usable = (
            list(islice((n for n in own if inputs.count(n)), sequences)) for own in numbers.values()
        )
        chosen = list(chain.from_iterable(islice(filter(None, usable), identities)))
        return self._clips(inputs, frames, choice, chosen)

    def stored(
        self, frames: int, choice: FrameChoice, engine: Accelerator, progress: Progress
    ) -> StreamClips:
        """Clips of what is kept and stored; what is missing is made first.

        Args:
            frames: Of a clip.
            choice: Which frames.
            engine: The processes.
            progress: Counts frames.
        """
        sources: dict[Input, RowSource] = {}
        for name in self._inputs:
            if name in DERIVED:
                sources[name] = self._cached(name, engine, progress)
            else:
                sources[name] = stored_source(self._store, name)
        inputs = Inputs(self._store, sources, silhouettes_of(self._config))
        return self._clips(inputs, frames, choice)

    def _cached(self, name: Input, engine: Accelerator, progress: Progress) -> RowSource:
        plan = run_on_main(engine, lambda: self._plan(name))
        piece = PIECE * plan.info.size**2
        return make_silhouettes(
            plan,
            self._store,
            self._manifest,
            workers=reading_workers(engine, self._config.data.workers, piece),
            engine=engine,
            progress=progress,
            drawing=drawing_of(self._config) if name == "skeleton maps" else None,
        )

    def _plan(self, name: Input) -> SilhouettesPlan:
        if name == "skeleton maps":
            drawing = drawing_of(self._config)
            return plan_maps(self._workspace, self._store, self._manifest, drawing)
        settings = cast(SilhouetteInput, self._settings.input)
        size, which = settings.size, settings.silhouettes
        return plan_silhouettes(self._workspace, self._store, self._manifest, size, which)

    @property
    def _settings(self) -> StreamFamilyConfig:
        return cast(StreamFamilyConfig, self._config.model)

    def _clips(
        self,
        inputs: Inputs,
        frames: int,
        choice: FrameChoice,
        sequences: Sequence[int] | None = None,
    ) -> StreamClips:
        settings, flip = self._settings, self._config.data.flip
        implementation = cast(
            StreamImplementation[StreamFamilyConfig], implementation_of(self._config.model)
        )
        return StreamClips(
            inputs,
            self._manifest.subjects.train,
            frames=frames,
            choice=choice,
            augmentation=Augmentation.of(settings.input, flip),
            change=implementation.pose_change(settings, flip),
            sequences=sequences,
        )
