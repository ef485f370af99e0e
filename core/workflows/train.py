"""`lmgait train`: the full training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from accelerate import Accelerator

from core.config import Config
from core.config.machine import TRAINING_MEMORY, deciding
from core.data.dataset import TrainingSequences
from core.data.loading import workers_explained
from core.errors import TrainingError, UsageError, gpu_memory_explained
from core.manifests.schema import DatasetManifest
from core.models.build import build_lmgait
from core.progress import Progress
from core.storage.features import FeatureStore
from core.storage.store import Store
from core.storage.subjects import nobody
from core.training.engine import decide, held, make_engine
from core.training.loop import run_job
from core.training.machine import in_words, machine_of
from core.training.observers import Observer, observers_in
from core.workflows.features import make_features, plan_features
from core.workflows.left_out import unused_in_training, write_once
from core.workflows.runs import Run, adding_runs, create_run, digest, list_runs
from core.workflows.shared_store import open_shared_store
from core.workflows.stores import with_frames
from core.workflows.training_job import training_job
from core.workflows.warmup import (
    find_warmup,
    finished_checkpoint,
    load_warmup,
    pretrain_decoder,
)
from core.workspace import Workspace


@dataclass(frozen=True, slots=True)
class TrainResult:
    """A finished training: its run, and the iterations done now (fewer after a resume)."""

    run: Run
    iterations: int


@workers_explained()
@gpu_memory_explained(TRAINING_MEMORY)
def train(
    workspace: Workspace,
    dataset: str | None,
    config: Config,
    *,
    preset: str,
    name: str | None = None,
    fresh: bool = False,
    must_resume: bool = False,
    progress: Progress,
) -> TrainResult:
    """Train a model, or go on with a training of the same settings.

    What is finished is returned: the same settings would only give the same weights again.

    Args:
        workspace: Where stores and runs live.
        dataset: Which store; None takes the newest.
        config: Resolved configuration.
        preset: Name of its preset, for the run's name.
        name: Name of the run; None makes one.
        fresh: Begin a new run even where there is one of the same settings.
        must_resume: Refuse to begin a new run.
        progress: Told of choices and iterations.

    Raises:
        UsageError: nothing to resume, or a name that is taken.
        StoreError, DataError, WeightsError, ConfigError: see their texts.
        TrainingError: a loss that is not finite, or too few identities.
        Interrupted: a signal; the state is saved.
    """
    store, manifest = open_shared_store(workspace, dataset)
    config = with_frames(config, manifest)
    key = training_key(config, store)
    engine = make_engine(config.train)

    def choose() -> tuple[Run | None, bool]:
        run = None if fresh else _of_same_settings(workspace, key, name, progress)
        if run is not None:
            return run, run.done(config.train.iterations)
        if must_resume:
            raise UsageError(
                f"There is no run for {manifest.name} with these settings",
                where=workspace.runs,
                next_step="Leave out --resume to begin a new one.",
            )
        _check_identities(store, manifest, config)
        return None, False

    run, complete = decide(engine, choose)
    if run is not None and complete:
        finished = run
        decide(engine, lambda: finished.tidy(config.train))
        progress.say(f"Run {run.name} has these settings and is complete.")
        return TrainResult(run, 0)
    warmup = decide(engine, lambda: find_warmup(workspace, config, store))
    if warmup is None:
        progress.say(f"No decoder warm-up for {manifest.name} with these settings: running it.")
        warmup = pretrain_decoder(
            workspace, manifest.name, config, preset=preset, progress=progress
        ).run
        engine = make_engine(config.train)
    facts: dict[str, Any] = {
        "key": key,
        "store": store.fingerprint,
        "warmup": warmup.name,
        "source": store.describe(),
        **machine_of(engine),
    }

    def begin() -> Run:
        with adding_runs(workspace.runs):
            # Another process may have begun it during our warm-up: then that one holds it.
            begun = None if fresh else _of_same_settings(workspace, key, name)
            return begun or create_run(
                workspace.runs,
                name=name,
                dataset=manifest.name,
                preset=preset,
                config=config,
                facts=facts,
            )

    # A run that exists passes, too: whoever was killed while it was made may have left something.
    run = decide(engine, begin)
    progress.say(
        f"Run {run.name}: {manifest.title}, preset {preset}, warm-up {warmup.name}; "
        f"{in_words(machine_of(engine))}; output in {run.folder}"
    )
    with held(engine, run.locked):
        start = _run(workspace, run, warmup, store, manifest, config, engine, progress)
    return TrainResult(run, config.train.iterations - start)


def training_sequences(
    store: Store,
    manifest: DatasetManifest,
    config: Config,
    features: FeatureStore | None = None,
) -> TrainingSequences:
    """The clips that a training draws from (sizes follow the configuration)."""
    from core.models.backbones.sizes import CLIP_VISION, DINOV2, size_of

    image, part = config.model.image, config.model.representation
    table = DINOV2 if image.family == "dinov2" else CLIP_VISION
    patch = size_of(table, image.architecture, "model.image.architecture").patch
    rows, columns = image.height // patch, image.width // patch
    frames = config.data.frames
    return TrainingSequences(
        store,
        manifest.subjects.train,
        frames=manifest.frames if frames is None else frames,
        frame_size=(image.height, image.width),
        silhouette_size=(rows * part.upsample, columns * part.upsample),
        flip=config.data.flip,
        features=features,
    )


def _run(
    workspace: Workspace,
    run: Run,
    warmup: Run,
    store: Store,
    manifest: DatasetManifest,
    config: Config,
    engine: Accelerator,
    progress: Progress,
) -> int:
    data = training_sequences(store, manifest, config)
    model = build_lmgait(config.model, classes=len(data.subjects), seed=config.seed)
    load_warmup(model, decide(engine, lambda: finished_checkpoint(warmup)))
    if config.data.features != "off":
        plan = decide(
            engine, lambda: plan_features(workspace, store, manifest, config, model.image)
        )
        features = make_features(plan, store, model.image, config, engine, progress)
        data = training_sequences(store, manifest, config, features)
    if engine.is_main_process:
        write_once(run.folder, store, unused_in_training(manifest))

    def observers(start: int) -> Sequence[Observer]:
        return observers_in(run.folder, start, progress)

    checkpoints = run.checkpoints(config.train)
    job = training_job(model, data, manifest, config, engine, checkpoints)
    return run_job(job, engine, observers, progress)


def training_key(config: Config, store: Store) -> str:
    """Digest of all that decides a training's weights."""
    return _key(config, store.fingerprint)


def _key(config: Config, store: object) -> str:
    return digest({"config": deciding(config), "store": store})


def runs_of_same_settings(
    workspace: Workspace, key: str, progress: Progress | None = None
) -> list[Run]:
    """The runs whose settings and store have this key, the oldest first.

    Keys are made anew: an older lmgait may have taken more settings for deciding ones.
    """
    return [
        run
        for run in list_runs(workspace.runs, progress)
        if key in (run.facts.get("key"), _key(run.config, run.facts.get("store")))
    ]


def _of_same_settings(
    workspace: Workspace, key: str, name: str | None, progress: Progress | None = None
) -> Run | None:
    """The newest run with these settings (and this name)."""
    same = runs_of_same_settings(workspace, key, progress)
    if name is not None:
        same = [run for run in same if run.name == name]
    return same[-1] if same else None


def _check_identities(store: Store, manifest: DatasetManifest, config: Config) -> None:
    """Fail before the warm-up, not after it, where a batch cannot be filled."""
    present = {info.key.subject for info in store.sequences} & set(manifest.subjects.train)
    if not present:
        raise nobody(store, manifest.subjects.train, "training")
    if len(present) < config.data.identities:
        raise TrainingError(
            f"A batch of {config.data.identities} identities needs as many training subjects; "
            f"the store has {len(present)}",
            where=store.path,
            next_step=f"Add `--set data.identities={max(2, len(present))}` or prepare more.",
        )
