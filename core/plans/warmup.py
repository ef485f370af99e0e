"""What a family trains before its training (LMGait: its decoder), as plans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from accelerate import Accelerator

from core.config import Config
from core.config.machine import warmup_memory
from core.data.loading import workers_explained
from core.estimates.job_stage import UNSAVED, job_stage
from core.estimates.stages import Estimate, Stage, make_estimate
from core.inference.features import make_features, plan_features
from core.inference.left_out import missing_inputs, unused_in_training, write_once
from core.inference.model_inputs import check_inputs
from core.manifests.schema import DatasetManifest
from core.models.backbones.image import ImageEncoder
from core.models.base import EncoderImplementation, implementation_of, warmup_of
from core.models.families import family_of, require_warmup
from core.models.freezing import freeze
from core.plans.stream_data import StreamData, TrainingData
from core.plans.warmup_job import build_warmup, warmup_choice, warmup_job, warmup_sequences
from core.progress import Progress
from core.runs.registry import data_facts, warmup_key, warmups
from core.runs.run import Run
from core.steps import IdentityWarmupConfig, WarmupConfig
from core.storage.store import Store
from core.system.failures import explain_gpu_memory
from core.training.engine import engine_for, lock_on_main, run_on_main, subnormals_as_zero
from core.training.loop import run_job
from core.training.machine import Machine, in_words, machine_of
from core.training.observers import Observer, observers_in
from core.workspace import Workspace

IMAGE_PREFIX = EncoderImplementation.image_prefix


@dataclass(frozen=True, slots=True)
class WarmupResult:
    """A finished warm-up: its folder, the iterations done now (fewer after a resume), settings."""

    run: Run
    iterations: int
    settings: WarmupConfig

    def to_json(self) -> dict[str, Any]:
        """The result as plain values, for JSON."""
        return {
            "warmup": self.run.name,
            "folder": str(self.run.folder),
            "iterations": self.settings.iterations,
            "now": self.iterations,
        }


@dataclass(frozen=True, slots=True)
class WarmupPlan:
    """A warm-up that is to be done, resumed, or is complete; made by :func:`plan_warmup`.

    Attributes:
        workspace: Where stores and warm-ups live.
        store: The store.
        manifest: Its dataset.
        config: Resolved configuration.
        settings: Its part of them.
        preset: Name of its preset, for the run's name.
        key: Digest of all that decides its weights.
        existing: The newest warm-up with this key; None where there is none.
        left: Iterations that are to be done.
        engine: Computes; its precision is set when the work begins.
    """

    workspace: Workspace
    store: Store
    manifest: DatasetManifest
    config: Config
    settings: WarmupConfig
    preset: str
    key: str
    existing: Run | None
    left: int
    engine: Accelerator

    def estimate(self, progress: Progress) -> Estimate:
        """What :meth:`run` will take, from a few real steps; nothing is written.

        Raises:
            WeightsError, ConfigError: the image encoder cannot be built.
        """
        stages = self.stages(progress)
        return make_estimate(stages, self.workspace.root, training_notes(self.config))

    def stages(self, progress: Progress, image: ImageEncoder | None = None) -> list[Stage]:
        """What is left of it; ``image`` as in :meth:`run`."""
        if not self.left:
            return []
        settings = self.settings
        progress.say(f"Measuring the {settings.title.lower()}.")
        image = image or self._encoder()
        engine = engine_for(settings, self.engine)
        data = self.sample(image)
        model = build_warmup(self.config, settings, len(data.subjects), image)
        job = warmup_job(model, data, self.manifest, self.config, settings, engine, UNSAVED)
        stage = replace(job_stage(settings.title, job, self.left, engine), shared=self.key)
        if image is not None:
            freeze(image)
        return [stage]

    @subnormals_as_zero()
    def run(self, progress: Progress, image: ImageEncoder | None = None) -> WarmupResult:
        """Do what is left of it.

        Args:
            progress: Told of the run and its iterations.
            image: The image encoder, where it is built already. A warm-up that trains it leaves
                it trained, and frozen.

        Raises:
            WeightsError, ConfigError: the image encoder cannot be built.
            OutputError: another process writes this warm-up, or the disk is full.
            TrainingError: a loss that is not finite.
            Interrupted: a signal; the state is saved.
        """
        with workers_explained(), explain_gpu_memory(warmup_memory(self.settings)):
            return self._run(progress, image)

    def _run(self, progress: Progress, image: ImageEncoder | None) -> WarmupResult:
        settings, existing = self.settings, self.existing
        if existing is not None and not self.left:
            run_on_main(self.engine, lambda: existing.tidy(settings))
            progress.say(f"Warm-up {existing.name} is complete.")
            return WarmupResult(existing, 0, settings)
        image = image or self._encoder()
        engine = engine_for(settings, self.engine)
        machine = machine_of(engine)
        run = run_on_main(engine, lambda: self._begin(machine))
        progress.say(
            f"Warm-up {run.name} on {self.manifest.title} ({self.store.path}); "
            f"{in_words(machine)}; output in {run.folder}"
        )
        with lock_on_main(engine, run.locked):
            start = self._train(run, image, engine, progress)
        return WarmupResult(run, settings.iterations - start, settings)

    def _encoder(self) -> ImageEncoder | None:
        return implementation_of(self.config.model).encoder(self.config.model)

    @property
    def _streams(self) -> StreamData:
        """What a family without an image encoder reads in it."""
        model = self.config.model
        inputs = warmup_of(model, self.settings).inputs or family_of(model).inputs
        return StreamData(self.workspace, self.store, self.manifest, self.config, inputs)

    def sample(self, image: ImageEncoder | None) -> TrainingData:
        """Clips for an estimate; nothing is written."""
        settings, choice = self.settings, warmup_choice(self.settings)
        if image is not None:
            return warmup_sequences(self.store, self.manifest, self.config, settings, image)
        if isinstance(settings, IdentityWarmupConfig):
            each = (settings.identities, settings.sequences)
        else:
            each = (settings.clips, 1)
        return self._streams.sample(settings.frames, choice, *each)

    def _begin(self, machine: Machine) -> Run:
        return warmups(self.workspace).resume_or_create(
            self.key,
            dataset=self.manifest.name,
            preset=self.preset,
            config=self.config,
            facts={
                **data_facts(self.store, self.manifest),
                **machine,
                "section": self.settings.section,
            },
        )

    def _train(
        self, run: Run, image: ImageEncoder | None, engine: Accelerator, progress: Progress
    ) -> int:
        store, manifest, config, settings = self.store, self.manifest, self.config, self.settings
        data = self.clips(image, engine, progress)
        if engine.is_main_process:
            used = {store.sequences[number].key for number in data.indices}
            lack = missing_inputs(family_of(config.model).inputs)
            write_once(run.folder, store, unused_in_training(manifest, used, lack))
        model = build_warmup(config, settings, len(data.subjects), image)

        def observers(start: int) -> Sequence[Observer]:
            return observers_in(run.folder, start, progress)

        checkpoints = run.checkpoints(settings)
        job = warmup_job(model, data, manifest, config, settings, engine, checkpoints)
        start = run_job(job, engine, observers, progress)
        if image is not None:
            freeze(image)
        return start

    def clips(
        self, image: ImageEncoder | None, engine: Accelerator, progress: Progress
    ) -> TrainingData:
        """The clips; what they are read from is made where it is missing."""
        store, manifest, config, settings = self.store, self.manifest, self.config, self.settings
        if image is None:
            choice = warmup_choice(settings)
            return self._streams.stored(settings.frames, choice, engine, progress)
        features = None
        if config.data.features != "off" and not settings.trains_encoder:
            plan = run_on_main(
                engine,
                lambda: plan_features(self.workspace, store, manifest, config, image),
            )
            features = make_features(plan, store, image, config, engine, progress)
        return warmup_sequences(store, manifest, config, settings, image, features)


def plan_warmup(
    workspace: Workspace,
    store: Store,
    manifest: DatasetManifest,
    config: Config,
    settings: WarmupConfig,
    *,
    preset: str,
    engine: Accelerator | None = None,
    progress: Progress | None = None,
) -> WarmupPlan:
    """Decide what is to be done for a warm-up; reads only.

    Args:
        workspace: Where warm-ups live.
        store: The store.
        manifest: Its dataset.
        config: Resolved configuration.
        settings: Those of the warm-up, of ``config.warmups``.
        preset: Name of its preset.
        engine: One that this process has already; its precision may be another.
        progress: Told of warm-ups that cannot be read.

    Raises:
        ConfigError: a precision that this device lacks.
        StoreError, UsageError: the store lacks what the model reads.
    """
    check_inputs(store, config)
    if engine is None:
        engine = engine_for(settings, None)
    key = warmup_key(config, settings, **data_facts(store, manifest))

    def choose() -> tuple[Run | None, int]:
        run = warmups(workspace).matching(key, progress=progress)
        done = 0 if run is None else run.iterations()
        return run, max(settings.iterations - done, 0)

    existing, left = run_on_main(engine, choose)
    return WarmupPlan(
        workspace, store, manifest, config, settings, preset, key, existing, left, engine
    )


def plan_decoder_warmup(
    workspace: Workspace,
    store: Store,
    manifest: DatasetManifest,
    config: Config,
    *,
    preset: str,
    progress: Progress | None = None,
) -> WarmupPlan:
    """Plan what `lmgait pretrain-decoder` runs: the family's first warm-up.

    Arguments and errors are those of :func:`plan_warmup`.

    Raises:
        UsageError: a family without a warm-up.
    """
    require_warmup(config.model)
    settings = config.warmups[0]
    return plan_warmup(
        workspace, store, manifest, config, settings, preset=preset, progress=progress
    )


def training_notes(config: Config) -> tuple[str, ...]:
    """What is not in the estimate of a training."""
    notes = ["One checkpoint more while a new one is written; logs and pictures are not in it."]
    if config.data.features != "off":
        notes.append("Steps are measured on frames; on stored features a CPU takes them quicker.")
    if torch.cuda.is_available():
        notes.append("The first steps of a GPU are slower than the rest.")
    return tuple(notes)
