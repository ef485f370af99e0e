"""What a training reads, made where it is missing: an encoder's features, or cut silhouettes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from accelerate import Accelerator
from torch import nn

from core.config import Config
from core.data.cutting import PIECE, CutSequences
from core.data.dataset import TrainingSequences
from core.data.silhouettes import SilhouetteClips
from core.manifests.schema import DatasetManifest
from core.models.backbones.image import ImageEncoder
from core.models.base import Implementation, implementation_of
from core.models.families import family_of
from core.models.silhouettes import SilhouetteFamilyConfig
from core.progress import Progress
from core.storage.features import FeatureStore
from core.storage.store import Store
from core.training.engine import decide, joined, reading_workers
from core.training.rehearsal import measure
from core.workflows.features import (
    FeaturesPlan,
    features_stages,
    make_features,
    plan_features,
)
from core.workflows.runs import Run
from core.workflows.silhouettes import make_silhouettes, plan_silhouettes
from core.workflows.stages import Stage, sample
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
    def frames(self) -> int:
        """T, frames of a clip."""
        frames = self.config.data.frames
        return self.manifest.frames if frames is None else frames

    @property
    def subjects(self) -> int:
        """Training subjects of the store."""
        train = set(self.manifest.subjects.train)
        return len({info.key.subject for info in self.store.sequences} & train)

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
        if self.config.data.features != "off":
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
        if self.config.data.features != "off":
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
        if self.config.warmup_settings.trains_encoder:
            load_warmup_encoder(self.image, _finished(warmup.existing))
        return warmup.existing

    def _features(self) -> FeaturesPlan:
        return plan_features(self.workspace, self.store, self.manifest, self.config, self.image)

    def _clips(self, features: FeatureStore | None) -> TrainingSequences:
        return training_sequences(self.store, self.manifest, self.config, self.image, features)


class SilhouetteInputs(TrainingInputs):
    """Silhouettes cut from the store and kept for all trainings on it."""

    @property
    def settings(self) -> SilhouetteFamilyConfig:
        """Settings of the model, which say how silhouettes are cut."""
        return cast(SilhouetteFamilyConfig, self.config.model)

    def stages(self, engine: Accelerator, progress: Progress) -> list[Stage]:
        """Cutting what is missing."""
        del engine, progress
        store, size = self.store, self.settings.input.size
        plan = plan_silhouettes(self.workspace, store, self.manifest, size)
        if plan.complete:
            return []
        cuts = CutSequences(store, size, self.manifest.silhouette_cut)

        def steps() -> Iterator[float]:
            for index in sample(range(len(store.sequences))):
                cuts.usable(index)
                yield store.sequences[index].frames

        pace, frames = measure(steps()), plan.info.frames
        basis = f"{pace.steps} sequences, cut by one process; their size before packing"
        seconds = frames * pace.seconds
        return [Stage("Silhouettes", frames, "frames", seconds, plan.info.bytes, basis)]

    def warmed_up(self, progress: Progress) -> Run | None:
        """There is no warm-up."""
        del progress
        return None

    def sample(self) -> TrainingData:
        """Clips of a few sequences, which are cut now: as many as one batch has."""
        data, train = self.config.data, set(self.manifest.subjects.train)
        numbers: dict[str, list[int]] = {}
        for number, info in enumerate(self.store.sequences):
            if info.key.subject in train:
                numbers.setdefault(info.key.subject, []).append(number)
        sequences = [
            number
            for subject in list(numbers)[: data.identities]
            for number in numbers[subject][: data.sequences]
        ]
        cuts = CutSequences(self.store, self.settings.input.size, self.manifest.silhouette_cut)
        return SilhouetteClips(
            self.store,
            cuts,
            self.manifest.subjects.train,
            frames=self.frames,
            settings=self.settings.input,
            flip=data.flip,
            sequences=sequences,
        )

    def stored(self, engine: Accelerator, progress: Progress) -> TrainingData:
        """Clips of kept silhouettes."""
        size = self.settings.input.size
        plan = decide(
            engine,
            lambda: plan_silhouettes(self.workspace, self.store, self.manifest, size),
        )
        silhouettes = make_silhouettes(
            plan,
            self.store,
            self.manifest,
            workers=reading_workers(engine, self.config.data.workers, PIECE * size**2),
            engine=engine,
            progress=progress,
        )
        return SilhouetteClips(
            self.store,
            silhouettes,
            self.manifest.subjects.train,
            frames=self.frames,
            settings=self.settings.input,
            flip=self.config.data.flip,
        )

    def model(self, classes: int, warmup: Run | None) -> nn.Module:
        """A new model."""
        del warmup
        return self.implementation.build(self.config.model, classes=classes, seed=self.config.seed)


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
    frames, family = config.data.frames, implementation_of(config.model)
    return TrainingSequences(
        store,
        manifest.subjects.train,
        frames=manifest.frames if frames is None else frames,
        frame_size=(image.height, image.width),
        silhouette_size=family.silhouette_size(config.model, image),
        flip=config.data.flip,
        choice=family.frame_choice(config.model),
        features=features,
    )


def _finished(warmup: Run) -> Path:
    return decide(joined(), lambda: finished_checkpoint(warmup))
