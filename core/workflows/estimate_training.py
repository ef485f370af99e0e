"""`--dry-run` of the verbs that train: what is left of it, from a few real steps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from core.config import Config
from core.manifests.schema import DatasetManifest
from core.models.build import build_lmgait
from core.progress import Progress
from core.storage.store import Store
from core.training.checkpoint import CheckpointFolder
from core.training.engine import make_engine
from core.training.loop import Job
from core.training.rehearsal import JobPace, rehearse_job
from core.workflows.ablate import Request, resolved, same_training, wanted
from core.workflows.estimate import (
    Estimate,
    Stage,
    embedding_stage,
    features_stages,
    finished,
)
from core.workflows.evaluate import used_sequences
from core.workflows.models import LoadedModel
from core.workflows.runs import Run, list_runs
from core.workflows.stores import open_store, with_frames
from core.workflows.train import runs_of_same_settings, training_key, training_sequences
from core.workflows.training_job import training_job
from core.workflows.warmup import build_warmup, find_warmup, warmup_job, warmup_key
from core.workspace import Workspace

UNSAVED = CheckpointFolder(Path("unsaved"), keep=1)


def estimate_warmup(
    workspace: Workspace, dataset: str | None, config: Config, progress: Progress
) -> Estimate:
    """What :func:`core.workflows.warmup.pretrain_decoder` would take (raises as it does)."""
    store, manifest = open_store(workspace, dataset)
    stages = _warmup(workspace, store, manifest, config, progress)
    return finished(stages, workspace.root, _training_notes(config))


def estimate_training(
    workspace: Workspace,
    dataset: str | None,
    config: Config,
    progress: Progress,
    *,
    name: str | None = None,
    fresh: bool = False,
) -> Estimate:
    """What :func:`core.workflows.train.train` would take, with what it does first."""
    store, manifest = open_store(workspace, dataset)
    config = with_frames(config, manifest)
    key = training_key(config, store)
    same = runs_of_same_settings(workspace, key)
    same = [run for run in same if name in (None, run.name) and not fresh]
    stages = _training(workspace, store, manifest, config, progress, same[-1] if same else None)
    return finished(stages, workspace.root, _training_notes(config))


def estimate_ablation(workspace: Workspace, request: Request, progress: Progress) -> Estimate:
    """What :func:`core.workflows.ablate.ablate` would take; what is finished counts no more."""
    store, manifest = open_store(workspace, request.dataset)
    names = dict.fromkeys(n for _, rows in wanted(request) for row in rows for n in row.ablations)
    stages: list[Stage] = []
    warm: set[str] = set()
    for name in names:
        config = resolved(name, request, manifest)
        progress.say(f"Measuring {name}.")
        embedding = [_untrained(config, *open_store(workspace, t)) for t in request.targets]
        for offset in range(request.seeds):
            one = config.model_copy(update={"seed": config.seed + offset})
            same = [
                run for run in list_runs(workspace.runs)
                if same_training(run, one, store)
            ]  # fmt: skip
            new = _training(workspace, store, manifest, one, progress, same[-1] if same else None)
            key = warmup_key(one, store)
            new = [stage for stage in new if stage.name != "Warm-up" or key not in warm]
            warm.add(key)
            found = [*new, *embedding]
            stages += [replace(s, name=f"{name}, seed {one.seed}: {s.name}") for s in found]
    notes = (*_training_notes(config), "Scoring itself is not in it.")
    return finished(stages, workspace.root, notes)


def _training(
    workspace: Workspace,
    store: Store,
    manifest: DatasetManifest,
    config: Config,
    progress: Progress,
    run: Run | None,
) -> list[Stage]:
    steps = [] if run is None else run.checkpoints().steps()
    left = config.train.iterations - (steps[-1] if steps else 0)
    if left <= 0:
        return []
    stages = []
    if find_warmup(workspace, config, store) is None:
        stages = _warmup(workspace, store, manifest, config, progress)
    data = training_sequences(store, manifest, config)
    model = build_lmgait(config.model, classes=len(data.subjects), seed=config.seed)
    engine = make_engine(config.train)
    if config.data.features != "off":
        stages += features_stages(workspace, store, manifest, config)
    progress.say("Measuring the training.")
    job = training_job(model, data, manifest, config, engine, UNSAVED)
    return [*stages, _job("Training", job, left, rehearse_job(job, engine))]


def _warmup(
    workspace: Workspace,
    store: Store,
    manifest: DatasetManifest,
    config: Config,
    progress: Progress,
) -> list[Stage]:
    key = warmup_key(config, store)
    same = [run for run in list_runs(workspace.warmups) if run.facts.get("key") == key]
    steps = same[-1].checkpoints().steps() if same else []
    left = config.warmup.iterations - (steps[-1] if steps else 0)
    if left <= 0:
        return []
    progress.say("Measuring the warm-up.")
    engine = make_engine(config.warmup)
    job = warmup_job(build_warmup(config), store, manifest, config, engine, UNSAVED)
    return [_job("Warm-up", job, left, rehearse_job(job, engine))]


def _job(name: str, job: Job, left: int, found: JobPace) -> Stage:
    settings = job.config
    kept = min(settings.keep, -(-left // settings.checkpoint_every))
    return Stage(
        name, left, "iterations", left * found.pace.seconds, kept * found.checkpoint,
        f"{found.pace.steps} steps after one to warm up; {kept} checkpoints of "
        f"{found.checkpoint / 2**20:.1f} MiB", found.memory,
    )  # fmt: skip


def _untrained(config: Config, store: Store, manifest: DatasetManifest) -> Stage:
    """Embedding by a model of these sizes: weights do not change the time."""
    device = make_engine().device
    model = build_lmgait(config.model, classes=None, seed=config.seed).eval().to(device)
    loaded = LoadedModel(model.requires_grad_(False), config, {}, device, False)
    return embedding_stage(loaded, store, used_sequences(store, manifest))


def _training_notes(config: Config) -> tuple[str, ...]:
    notes = ["One checkpoint more while a new one is written; logs and pictures are not in it."]
    if config.data.features != "off":
        notes.append("Steps are measured on frames; on stored features a CPU takes them quicker.")
    if torch.cuda.is_available():
        notes.append("The first steps of a GPU are slower than the rest.")
    return tuple(notes)
