"""What a training is to do: which run, from which iteration on, after what."""

from __future__ import annotations

from accelerate import Accelerator

from core.config import Config
from core.errors import TrainingError, UsageError
from core.inference.model_inputs import check_inputs
from core.manifests.schema import DatasetManifest
from core.plans.training import TrainingPlan
from core.plans.warmup import plan_warmup
from core.progress import Progress
from core.runs.registry import data_facts, training_key, trainings
from core.runs.run import Run
from core.runs.shared_store import open_shared_store
from core.runs.stores import with_frames
from core.steps import IdentityWarmupConfig
from core.storage.store import Store
from core.storage.subjects import no_subject_error, present_subjects
from core.training.engine import engine_for, run_on_main
from core.workspace import Workspace


def plan_training(
    workspace: Workspace,
    dataset: str | None,
    config: Config,
    *,
    preset: str,
    name: str | None = None,
    fresh: bool = False,
    must_resume: bool = False,
    progress: Progress | None = None,
) -> TrainingPlan:
    """Decide what a training is to do: which run, from which iteration on, after what; reads only.

    Args:
        workspace: Where stores and runs live.
        dataset: Which store; None takes the newest.
        config: Resolved configuration.
        preset: Name of its preset, for the run's name.
        name: Name of the run; None makes one.
        fresh: Begin a new run even where there is one of the same settings.
        must_resume: Refuse to begin a new run.
        progress: Told of runs that cannot be read.

    Raises:
        UsageError: nothing to resume, or an unknown dataset.
        StoreError, DataError: the store cannot be opened, lacks what the model reads, or holds no
            training subject.
        ConfigError: a precision that this device lacks.
        TrainingError: too few identities.
    """
    store, manifest = open_shared_store(workspace, dataset)
    return plan_on_store(
        workspace,
        store,
        manifest,
        config,
        preset=preset,
        name=name,
        fresh=fresh,
        must_resume=must_resume,
        progress=progress,
    )


def plan_on_store(
    workspace: Workspace,
    store: Store,
    manifest: DatasetManifest,
    config: Config,
    *,
    preset: str,
    name: str | None = None,
    stem: str | None = None,
    fresh: bool = False,
    must_resume: bool = False,
    engine: Accelerator | None = None,
    progress: Progress | None = None,
) -> TrainingPlan:
    """As :func:`plan_training`, on a store that is open.

    Args:
        workspace: Where runs live.
        store: The store.
        manifest: Its dataset.
        config: Resolved configuration.
        preset: Name of its preset.
        name: Name of the run; None takes any with these settings, and makes a name for a new one.
        stem: What a made name begins with; None takes dataset and preset.
        fresh: Begin a new run even where there is one of the same settings.
        must_resume: Refuse to begin a new run.
        engine: One that this process has already; its precision may be another.
        progress: Told of runs that cannot be read.
    """
    check_inputs(store, config)
    config = with_frames(config, manifest)
    if engine is None:
        engine = engine_for(config.train, None)
    key = training_key(config, **data_facts(store, manifest))

    def choose() -> tuple[Run | None, int]:
        run = None
        if not fresh:
            run = trainings(workspace).matching(key, name=name, progress=progress)
        if run is not None:
            return run, max(config.train.iterations - run.iterations(), 0)
        if must_resume:
            raise UsageError(
                f"There is no run for {manifest.name} with these settings",
                where=workspace.runs,
                next_step="Leave out --resume to begin a new one.",
            )
        _check_identities(store, manifest, config)
        return None, config.train.iterations

    existing, left = run_on_main(engine, choose)
    warmups = tuple(
        plan_warmup(workspace, store, manifest, config, settings, preset=preset, engine=engine)
        for settings in config.warmups
    )
    return TrainingPlan(
        workspace,
        store,
        manifest,
        config,
        preset,
        name,
        stem,
        fresh,
        key,
        existing,
        left,
        warmups,
        engine,
    )


def _check_identities(store: Store, manifest: DatasetManifest, config: Config) -> None:
    """Fail before the warm-up, not after it, where a batch cannot be filled."""
    subjects = present_subjects(store, manifest.subjects.train)
    if not subjects:
        raise no_subject_error(store, manifest.subjects.train, "training")
    batches = {"data": config.data.identities}
    for warmup in config.warmups:
        if isinstance(warmup, IdentityWarmupConfig):
            batches[warmup.section] = warmup.identities
    for section, identities in batches.items():
        if len(subjects) < identities:
            raise TrainingError(
                f"A batch of {identities} identities needs as many training subjects; "
                f"the store has {len(subjects)}",
                where=store.path,
                next_step=f"Add `--set {section}.identities={max(2, len(subjects))}` or prepare "
                "more.",
            )
