"""A training as a plan: what is to be done, what it will take, and doing it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from accelerate import Accelerator

from core.config import Config
from core.config.machine import TRAINING_MEMORY
from core.data.loading import workers_explained
from core.estimates.job_stage import UNSAVED, job_stage
from core.estimates.stages import Estimate, Stage, make_estimate
from core.inference.left_out import missing_inputs, unused_in_training, write_once
from core.manifests.schema import DatasetManifest
from core.models.families import inputs_of
from core.models.parameters import count_parts
from core.plans.inputs_base import TrainingInputs
from core.plans.training_inputs import training_inputs
from core.plans.training_job import training_job
from core.plans.warmup import WarmupPlan, training_notes
from core.progress import Progress
from core.runs.registry import data_facts, trainings
from core.runs.run import Run
from core.storage.store import Store
from core.system.failures import explain_gpu_memory
from core.training.engine import engine_for, lock_on_main, run_on_main, subnormals_as_zero
from core.training.loop import run_job
from core.training.machine import Machine, in_words, machine_of
from core.training.observers import Observer, observers_in
from core.workspace import Workspace


@dataclass(frozen=True, slots=True)
class TrainResult:
    """A finished training: its run, and the iterations done now (fewer after a resume)."""

    run: Run
    iterations: int

    def to_json(self) -> dict[str, Any]:
        """The result as plain values, for JSON."""
        return {
            "run": self.run.name,
            "folder": str(self.run.folder),
            "iterations": self.run.config.train.iterations,
            "now": self.iterations,
        }


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """A training that is to be done, resumed, or is complete.

    Made by :func:`core.plans.choose.plan_training`.

    Attributes:
        workspace: Where stores and runs live.
        store: The store.
        manifest: Its dataset.
        config: Resolved configuration, the clip length too.
        preset: Name of its preset, for the run's name.
        name: Name of the run; None makes one.
        stem: What a made name begins with; None takes dataset and preset.
        fresh: Whether a new run begins even where there is one with this key.
        key: Digest of all that decides its weights.
        existing: The newest run with this key (and name); None where a new one begins.
        left: Iterations that are to be done.
        warmups: The warm-ups that it starts from, done or not, in order.
        engine: Computes; its precision is set when the work begins.
    """

    workspace: Workspace
    store: Store
    manifest: DatasetManifest
    config: Config
    preset: str
    name: str | None
    stem: str | None
    fresh: bool
    key: str
    existing: Run | None
    left: int
    warmups: tuple[WarmupPlan, ...]
    engine: Accelerator

    @property
    def steps(self) -> tuple[str, ...]:
        """What is to be done, in order: warm-ups, features, silhouettes, training."""
        if not self.left:
            return ()
        warmups = (one.settings.title.lower() for one in self.warmups if one.left)
        steps = (*warmups, self._inputs().step_before, "training")
        return tuple(step for step in steps if step is not None)

    def estimate(self, progress: Progress) -> Estimate:
        """What :meth:`run` will take, from a few real steps; nothing is written.

        Raises:
            WeightsError, ConfigError: the model cannot be built.
        """
        stages = self.stages(progress)
        return make_estimate(stages, self.workspace.root, training_notes(self.config))

    def stages(self, progress: Progress) -> list[Stage]:
        """What is left of each step."""
        if not self.left:
            return []
        inputs, engine = self._inputs(), engine_for(self.config.train, self.engine)
        stages = inputs.stages(engine, progress)
        progress.say("Measuring the training.")
        engine = engine_for(self.config.train, engine)  # a warm-up may have changed it
        data = inputs.sample()
        model = inputs.model(inputs.subjects, ())
        job = training_job(model, data, self.manifest, self.config, engine, UNSAVED)
        return [*stages, job_stage("Training", job, self.left, engine)]

    @workers_explained()
    @explain_gpu_memory(TRAINING_MEMORY)
    @subnormals_as_zero()
    def run(self, progress: Progress) -> TrainResult:
        """Do what is left of it, its warm-ups and features first.

        What is finished is returned: the same settings would only give the same weights again.

        Args:
            progress: Told of choices and iterations.

        Raises:
            WeightsError, ConfigError: the model cannot be built.
            UsageError: the name is taken or not a plain folder name.
            OutputError: another process writes this run, or the disk is full.
            TrainingError: a loss that is not finite.
            Interrupted: a signal; the state is saved.
        """
        config, existing = self.config, self.existing
        if existing is not None and not self.left:
            run_on_main(self.engine, lambda: existing.tidy(config.train))
            progress.say(f"Run {existing.name} has these settings and is complete.")
            return TrainResult(existing, 0)
        inputs = self._inputs()
        if any(warmup.left for warmup in self.warmups):
            count_parts(
                config.model, inputs.subjects
            )  # refuses sizes before the warm-up, not after it
        warmups = inputs.warmed_up(progress)
        engine = engine_for(config.train, self.engine)
        # A run that exists passes, too: a killed process may have left partial files in it.
        machine = machine_of(engine)
        run = run_on_main(engine, lambda: self._begin(warmups, machine))
        after = "".join(f", warm-up {warmup.name}" for warmup in warmups)
        progress.say(
            f"Run {run.name}: {self.manifest.title}, preset {self.preset}{after}; "
            f"{in_words(machine)}; output in {run.folder}"
        )
        with lock_on_main(engine, run.locked):
            start = self._train(run, warmups, inputs, engine, progress)
        return TrainResult(run, config.train.iterations - start)

    def _inputs(self) -> TrainingInputs:
        return training_inputs(self.workspace, self.store, self.manifest, self.config, self.warmups)

    def _begin(self, warmups: Sequence[Run], machine: Machine) -> Run:
        facts: dict[str, Any] = {
            **data_facts(self.store, self.manifest),
            "source": self.store.describe(),
            **machine,
        }
        for plan, warmup in zip(self.warmups, warmups, strict=True):
            facts[plan.settings.section] = warmup.name
        return trainings(self.workspace).resume_or_create(
            self.key,
            name=self.name,
            stem=self.stem,
            fresh=self.fresh,
            dataset=self.manifest.name,
            preset=self.preset,
            config=self.config,
            facts=facts,
        )

    def _train(
        self,
        run: Run,
        warmups: Sequence[Run],
        inputs: TrainingInputs,
        engine: Accelerator,
        progress: Progress,
    ) -> int:
        data = inputs.stored(engine, progress)
        model = inputs.model(len(data.subjects), warmups)
        if engine.is_main_process:
            used = {self.store.sequences[number].key for number in data.indices}
            lack = missing_inputs(inputs_of(self.config.model))
            write_once(run.folder, self.store, unused_in_training(self.manifest, used, lack))

        def observers(start: int) -> Sequence[Observer]:
            return observers_in(run.folder, start, progress)

        checkpoints = run.checkpoints(self.config.train)
        job = training_job(model, data, self.manifest, self.config, engine, checkpoints)
        return run_job(job, engine, observers, progress)
