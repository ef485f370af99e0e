"""What a training reads, made where it is missing: an encoder's features, or cut silhouettes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import Any, cast

from accelerate import Accelerator
from torch import nn

from core.config import Config
from core.data.cutting import PIECE, CutSequences, silhouette_frames
from core.data.dataset import TrainingSequences
from core.data.silhouettes import SilhouetteClips, Silhouettes
from core.manifests.schema import DatasetManifest
from core.models.backbones.image import ImageEncoder
from core.models.base import Implementation, implementation_of
from core.models.families import family_of
from core.models.silhouettes import SilhouetteFamilyConfig, SilhouetteInput
from core.progress import Progress
from core.storage.features import FeatureStore
from core.storage.store import Store
from core.storage.subjects import present, sequences_of
from core.training.engine import decide, joined, reading_workers
from core.training.rehearsal import measure
from core.workflows.features import FeaturesPlan, features_stages, make_features, plan_features
from core.workflows.runs import Run
from core.workflows.silhouettes import SilhouettesPlan, make_silhouettes, plan_silhouettes
from core.workflows.stages import Stage, counted, sample
from core.workflows.warmup import (
    WarmupPlan,
    finished_checkpoint,
    load_warmup,
    load_warmup_encoder,
)
from core.workspace import Workspace

TrainingData = TrainingSequences | SilhouetteClips


class TrainingInputs(ABC):
    """What a training reads; made by :func:`training_inputs`.

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
        return len(present(self.store, self.manifest.subjects.train))

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


class EncoderInputs(TrainingInputs):
    """Frames for a frozen image encoder, or its stored features; the encoder is built once."""

    @property
    def step_before(self) -> str | None:
        """Storing features, where the settings ask for them."""
        return None if self.config.data.features == "off" else "features"

    @cached_property
    def image(self) -> ImageEncoder:
        """The image encoder."""
        return cast(ImageEncoder, self.implementation.encoder(self.config.model))

    def stages(self, engine: Accelerator, progress: Progress) -> list[Stage]:
        """Warm-up and features."""
        stages: list[Stage] = []
        warmup = self.warmup
        if warmup is not None:
            stages += warmup.stages(progress, self.image)
            self._take(warmup)
        if self.step_before is not None:
            plan = self._features()
            stages += features_stages(plan, self.store, self.image, self.config, engine)
        return stages

    def warmed_up(self, progress: Progress) -> Run | None:
        """The finished warm-up; the encoder has the weights that it left."""
        warmup = self.warmup
        if warmup is None:
            return None
        if (run := self._take(warmup)) is not None:
            return run
        progress.say(
            f"No warm-up of the {warmup.config.warmup_settings.part} for {self.manifest.name} with "
            "these settings: running it."
        )
        return warmup.run(progress, self.image).run

    def sample(self) -> TrainingData:
        """Clips of frames."""
        return self._clips(None)

    def stored(self, engine: Accelerator, progress: Progress) -> TrainingData:
        """Clips of frames, or of features where the settings ask for them."""
        features = None
        if self.step_before is not None:
            plan = decide(engine, self._features)
            features = make_features(plan, self.store, self.image, self.config, engine, progress)
        return self._clips(features)

    def model(self, classes: int, warmup: Run | None) -> nn.Module:
        """A model on the encoder, from its warm-up where it has one."""
        config = self.config
        model = self.implementation.build(
            config.model, classes=classes, seed=config.seed, image=self.image
        )
        if warmup is not None:
            load_warmup(model, _finished(warmup), config)
        return model

    def _take(self, warmup: WarmupPlan) -> Run | None:
        """A warm-up that is complete, its encoder loaded; None for one that is not."""
        if warmup.existing is None or warmup.left:
            return None
        if self.config.warmup_trains_encoder:
            load_warmup_encoder(self.image, _finished(warmup.existing))
        return warmup.existing

    def _features(self) -> FeaturesPlan:
        return plan_features(self.workspace, self.store, self.manifest, self.config, self.image)

    def _clips(self, features: FeatureStore | None) -> TrainingSequences:
        return training_sequences(self.store, self.manifest, self.config, self.image, features)


class SilhouetteInputs(TrainingInputs):
    """Silhouettes cut from the store and kept for all trainings on it."""

    @property
    def step_before(self) -> str | None:
        """Cutting silhouettes."""
        return "silhouettes"

    @property
    def settings(self) -> SilhouetteInput:
        """How silhouettes are cut and become clips."""
        return cast(SilhouetteFamilyConfig, self.config.model).input

    def stages(self, engine: Accelerator, progress: Progress) -> list[Stage]:
        """Cutting what is missing."""
        del engine, progress
        store, plan, cuts = self.store, self._plan(), self._cut_now()
        which = self.settings.silhouettes
        if plan.complete:
            return []

        def steps() -> Iterator[float]:
            for index in sample(range(len(store.sequences))):
                cuts.usable(index)
                yield max(1, silhouette_frames(store, index, which))

        pace, info = measure(steps()), plan.info
        basis = f"{counted(pace.steps, 'sequences')}, cut by one process; their size before packing"
        seconds, shared = info.frames * pace.seconds, str(plan.path)
        stage = Stage(
            "Silhouettes", info.frames, "frames", seconds, info.bytes, basis, shared=shared
        )
        return [stage]

    def warmed_up(self, progress: Progress) -> Run | None:
        """There is no warm-up."""
        del progress
        return None

    def sample(self) -> TrainingData:
        """Clips of a few sequences, which are cut now: as many as one batch has."""
        data, cuts, numbers = self.config.data, self._cut_now(), dict[str, list[int]]()
        for number in sequences_of(self.store, self.manifest.subjects.train):
            numbers.setdefault(self.store.sequences[number].key.subject, []).append(number)
        usable = (
            list(islice((n for n in own if len(cuts.usable(n))), data.sequences))
            for own in numbers.values()
        )
        sequences = list(chain.from_iterable(islice(filter(None, usable), data.identities)))
        return self._clips(cuts, sequences)

    def stored(self, engine: Accelerator, progress: Progress) -> TrainingData:
        """Clips of kept silhouettes."""
        plan, piece = decide(engine, self._plan), PIECE * self.settings.size**2
        silhouettes = make_silhouettes(
            plan,
            self.store,
            self.manifest,
            workers=reading_workers(engine, self.config.data.workers, piece),
            engine=engine,
            progress=progress,
        )
        return self._clips(silhouettes)

    def model(self, classes: int, warmup: Run | None) -> nn.Module:
        """A new model."""
        del warmup
        return self.implementation.build(self.config.model, classes=classes, seed=self.config.seed)

    def _plan(self) -> SilhouettesPlan:
        size, which = self.settings.size, self.settings.silhouettes
        return plan_silhouettes(self.workspace, self.store, self.manifest, size, which)

    def _cut_now(self) -> CutSequences:
        size, which = self.settings.size, self.settings.silhouettes
        return CutSequences(self.store, size, self.manifest.silhouette_cut, which)

    def _clips(
        self, silhouettes: Silhouettes, sequences: Sequence[int] | None = None
    ) -> SilhouetteClips:
        return SilhouetteClips(
            self.store,
            silhouettes,
            self.manifest.subjects.train,
            frames=_clip_length(self.config),
            settings=self.settings,
            flip=self.config.data.flip,
            sequences=sequences,
        )


def training_inputs(
    workspace: Workspace,
    store: Store,
    manifest: DatasetManifest,
    config: Config,
    warmup: WarmupPlan | None,
) -> TrainingInputs:
    """What a training of this family reads (arguments as :class:`TrainingInputs`)."""
    kind = EncoderInputs if "rgb" in family_of(config.model).inputs else SilhouetteInputs
    return kind(workspace, store, manifest, config, warmup)


def training_sequences(
    store: Store,
    manifest: DatasetManifest,
    config: Config,
    image: ImageEncoder,
    features: FeatureStore | None = None,
) -> TrainingSequences:
    """The clips that a training on frames draws from; sizes are those of the image encoder."""
    family = implementation_of(config.model)
    return TrainingSequences(
        store,
        manifest.subjects.train,
        frames=_clip_length(config),
        frame_size=(image.height, image.width),
        silhouette_size=family.silhouette_size(config.model, image),
        flip=config.data.flip,
        choice=family.frame_choice(config.model),
        features=features,
    )


def _clip_length(config: Config) -> int:
    """T; a plan has taken it from the dataset where none is set."""
    frames = config.data.frames
    assert frames is not None, "with_frames comes first"
    return frames


def _finished(warmup: Run) -> Path:
    return decide(joined(), lambda: finished_checkpoint(warmup))
