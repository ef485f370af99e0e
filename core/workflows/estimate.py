"""`--dry-run`: what long work will take in time and disk, from a few real steps of it.

Nothing is written into the workspace. Times are of this machine as busy as it is now.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from core.config import Config
from core.manifests.schema import DatasetManifest
from core.models.build import build_image_encoder, build_lmgait
from core.progress import Progress, SilentProgress
from core.records import SequenceKey
from core.storage.store import Store
from core.training.checkpoint import CheckpointFolder
from core.training.engine import make_engine
from core.training.loop import Job
from core.training.rehearsal import JobPace, Pace, measure, rehearse_job
from core.walkers.datasets import check_dataset
from core.walkers.write import sequence_places, write_sequence
from core.workflows.ablate import Request, resolved, wanted
from core.workflows.embed import embed_sequences, sequence_chunks
from core.workflows.evaluate import used_sequences
from core.workflows.features import plan_features
from core.workflows.models import LoadedModel, load_model
from core.workflows.runs import Run, find_run, list_runs
from core.workflows.stores import open_store, with_frames
from core.workflows.synthesize import wanted_keys
from core.workflows.train import training_job, training_key, training_sequences
from core.workflows.warmup import build_warmup, find_warmup, warmup_job, warmup_key
from core.workspace import Workspace

SAMPLE = 31  # sequences at hand for a measurement; seldom all of them are used
UNSAVED = CheckpointFolder(Path("unsaved"), keep=1)


@dataclass(frozen=True, slots=True)
class Stage:
    """One piece of the work.

    Attributes:
        name: What is done.
        amount: How many units are left.
        unit: Of what.
        seconds: How long they will take.
        bytes: What they will leave on the disk.
        basis: What this is extrapolated from.
    """

    name: str
    amount: int
    unit: str
    seconds: float
    bytes: int
    basis: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """All stages, the free bytes of the disk they go to, and what is not in them."""

    stages: tuple[Stage, ...]
    free: int
    notes: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """Of all stages."""
        return sum(stage.seconds for stage in self.stages)

    @property
    def bytes(self) -> int:
        """Of all stages."""
        return sum(stage.bytes for stage in self.stages)


def estimate_warmup(
    workspace: Workspace, dataset: str | None, config: Config, progress: Progress
) -> Estimate:
    """What :func:`core.workflows.warmup.pretrain_decoder` would take (raises as it does)."""
    store, manifest = open_store(workspace, dataset)
    stages = _warmup(workspace, store, manifest, config, progress)
    return _estimate(stages, workspace.root, _training_notes(config))


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
    same = [run for run in list_runs(workspace.runs) if run.facts.get("key") == key]
    same = [run for run in same if name in (None, run.name) and not fresh]
    stages = _training(workspace, store, manifest, config, progress, same[-1] if same else None)
    return _estimate(stages, workspace.root, _training_notes(config))


def estimate_embedding(
    workspace: Workspace,
    *,
    run_name: str | None,
    train_dataset: str | None,
    test_dataset: str | None,
    progress: Progress,
    everyone: bool = False,
    scored: bool = True,
) -> Estimate:
    """What it would take to embed (and score) a dataset with a run's model."""
    run = find_run(workspace.runs, name=run_name, dataset=train_dataset)
    store, manifest = open_store(workspace, test_dataset or run.dataset)
    loaded = load_model(run, device=make_engine().device)
    progress.say(f"Run {run.name}, sequences of {manifest.title}.")
    indices = used_sequences(store, manifest, everyone=everyone)
    notes = ("Scoring itself is not in it.",) if scored else ()
    return _estimate([_embedding(loaded, store, indices)], workspace.root, notes)


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
                if run.config == one and run.facts.get("store") == store.fingerprint
            ]  # fmt: skip
            new = _training(workspace, store, manifest, one, progress, same[-1] if same else None)
            key = warmup_key(one, store)
            new = [stage for stage in new if stage.name != "Warm-up" or key not in warm]
            warm.add(key)
            found = [*new, *embedding]
            stages += [replace(s, name=f"{name}, seed {one.seed}: {s.name}") for s in found]
    notes = (*_training_notes(config), "Scoring itself is not in it.")
    return _estimate(stages, workspace.root, notes)


def estimate_synthesis(
    dataset: str,
    out: Path,
    *,
    train_subjects: int,
    test_subjects: int,
    types: Sequence[str] | None,
    views: Sequence[str] | None,
    frames: int,
    seed: int,
    workers: int,
) -> Estimate:
    """What :func:`core.workflows.synthesize.synthesize` would take (raises as it does)."""
    dataset = check_dataset(dataset)
    keys, _, _ = wanted_keys(
        dataset, train_subjects=train_subjects, test_subjects=test_subjects, types=types,
        views=views, frames=frames, workers=workers, seed=seed,
    )  # fmt: skip
    left = [k for k in keys if not all(p.exists() for p in sequence_places(dataset, out, k))]
    sample = _sample(left)
    with tempfile.TemporaryDirectory(prefix="lmgait-") as folder:

        def steps() -> Iterator[float]:
            for key in sample:
                write_sequence(dataset, Path(folder), key, frames, seed)
                yield 1

        pace = measure(steps()) if sample else Pace(0.0, 0)
        files = [path for path in Path(folder).rglob("*") if path.is_file()]
        each = sum(path.stat().st_size for path in files) / max(1, pace.steps + 1)
    stage = Stage(
        "Rendering", len(left), "sequences", pace.seconds * len(left) / workers,
        round(each * len(left)),
        f"{pace.steps} sequences rendered by one process; {workers} share the work",
    )  # fmt: skip
    return _estimate([stage], out, ())


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
        stages += _features(workspace, store, manifest, config)
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
        f"{found.checkpoint / 2**20:.1f} MiB",
    )  # fmt: skip


def estimate_features(workspace: Workspace, dataset: str | None, config: Config) -> Estimate:
    """What :func:`core.workflows.cache_features.cache_features` would take, without a warm-up."""
    store, manifest = open_store(workspace, dataset)
    stages = _features(workspace, store, manifest, config)
    return _estimate(stages, workspace.root, ())


def _features(
    workspace: Workspace, store: Store, manifest: DatasetManifest, config: Config
) -> list[Stage]:
    image = build_image_encoder(config.model.image)
    plan = plan_features(workspace, store, manifest, config, image)
    if plan.complete:
        return []
    engine = make_engine()
    image.to(engine.device)
    plain = _without_workers(config)
    indices = _sample([index for part in plan.info.parts for index, _ in part])

    def steps() -> Iterator[float]:
        for _, frames in sequence_chunks(plain, store, indices):
            image(frames.to(engine.device)).sum().item()
            yield len(frames)

    pace, turns = measure(steps()), 2 if plan.info.mirrored else 1
    seconds = plan.info.frames * pace.seconds * turns
    basis = f"{pace.steps} chunks of frames, encoded once"
    return [Stage("Features", plan.info.frames, "frames", seconds, plan.info.bytes, basis)]


def _embedding(loaded: LoadedModel, store: Store, indices: Sequence[int]) -> Stage:
    engine = make_engine()
    plain = replace(loaded, config=_without_workers(loaded.config))
    frames = sum(store.sequences[index].frames for index in indices)

    def steps() -> Iterator[float]:
        for index in _sample(indices):
            embed_sequences(plain, store, [index], engine, SilentProgress(), source="")
            yield store.sequences[index].frames

    pace = measure(steps()) if indices else Pace(0.0, 0)
    gait = loaded.config.model.gait
    return Stage(
        "Embedding", len(indices), "sequences", frames * pace.seconds,
        len(indices) * gait.embedding * gait.strips * 4,
        f"{pace.steps} sequences, by their frames; read and computed by one process",
    )  # fmt: skip


def _untrained(config: Config, store: Store, manifest: DatasetManifest) -> Stage:
    """Embedding by a model of these sizes: weights do not change the time."""
    device = make_engine().device
    model = build_lmgait(config.model, classes=None, seed=config.seed).eval().to(device)
    loaded = LoadedModel(model.requires_grad_(False), config, {}, device, False)
    return _embedding(loaded, store, used_sequences(store, manifest))


def _without_workers(config: Config) -> Config:
    # Worker processes take longer to start than a measurement lasts.
    return config.model_copy(update={"data": config.data.model_copy(update={"workers": 0})})


def _training_notes(config: Config) -> tuple[str, ...]:
    notes = ["One checkpoint more while a new one is written; logs and pictures are not in it."]
    if config.data.features != "off":
        notes.append("Steps are measured on frames; on stored features they are quicker.")
    if torch.cuda.is_available():
        notes.append("The first steps of a GPU are slower than the rest.")
    return tuple(notes)


def _sample(items: Sequence[SequenceKey] | Sequence[int]) -> list:  # type: ignore[type-arg]
    step = max(1, len(items) // SAMPLE)
    return list(items[::step][:SAMPLE])


def _estimate(stages: Sequence[Stage], place: Path, notes: tuple[str, ...]) -> Estimate:
    there = next(folder for folder in (place, *place.absolute().parents) if folder.is_dir())
    return Estimate(tuple(stages), shutil.disk_usage(there).free, notes)
