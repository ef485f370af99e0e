"""`--dry-run`: what long work will take in time and disk, from a few real steps of it.

Nothing is written into the workspace. Times are of this machine as busy as it is now.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from core.config import Config
from core.manifests.schema import DatasetManifest
from core.models.build import build_image_encoder
from core.progress import Progress, SilentProgress
from core.storage.build import shard_done
from core.storage.layout import ShardFile, read_json, shard_report_name
from core.storage.store import Store
from core.training.engine import make_engine
from core.training.fit import StepMemory
from core.training.rehearsal import Pace, measure
from core.walkers.datasets import check_dataset
from core.walkers.write import sequence_places, write_sequence
from core.workflows.embed import embed_sequences, sequence_chunks
from core.workflows.evaluate import used_sequences
from core.workflows.features import plan_features
from core.workflows.models import LoadedModel, load_model
from core.workflows.prepare import PrepareResult, workers_for
from core.workflows.runs import find_run, list_runs
from core.workflows.shards import make_shard
from core.workflows.stores import open_store
from core.workflows.synthesize import wanted_keys
from core.workspace import Workspace

T = TypeVar("T")
SAMPLE = 31  # sequences at hand for a measurement; seldom all of them are used


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
        memory: Of one step on a GPU; None for work that takes little.
    """

    name: str
    amount: int
    unit: str
    seconds: float
    bytes: int
    basis: str
    memory: StepMemory | None = None


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


def estimate_embedding(
    workspace: Workspace,
    *,
    run_name: str | None,
    train_dataset: str | None,
    test_dataset: str | None,
    progress: Progress,
    everyone: bool = False,
    scored: bool = True,
    settings: Sequence[str] = (),
) -> Estimate:
    """What it would take to embed (and, if ``scored``, score) a dataset with a run's model."""
    if not scored and all(run.dataset != train_dataset for run in list_runs(workspace.runs)):
        train_dataset = None  # `lmgait embed` takes any run then
    run = find_run(workspace.runs, name=run_name, dataset=train_dataset)
    store, manifest = open_store(workspace, test_dataset or run.dataset)
    loaded = load_model(run, device=make_engine().device, settings=settings)
    progress.say(f"Run {run.name}, sequences of {manifest.title}.")
    indices = used_sequences(store, manifest, everyone=everyone)
    notes = ("Scoring itself is not in it.",) if scored else ()
    return finished([embedding_stage(loaded, store, indices)], workspace.root, notes)


def estimate_features(workspace: Workspace, dataset: str | None, config: Config) -> Estimate:
    """What :func:`core.workflows.cache_features.cache_features` would take, without a warm-up."""
    store, manifest = open_store(workspace, dataset)
    stages = features_stages(workspace, store, manifest, config)
    return finished(stages, workspace.root, ())


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
    chosen = sample(left)
    with tempfile.TemporaryDirectory(prefix="lmgait-") as folder:

        def steps() -> Iterator[float]:
            for key in chosen:
                write_sequence(dataset, Path(folder), key, frames, seed)
                yield 1

        pace = measure(steps()) if chosen else Pace(0.0, 0)
        files = [path for path in Path(folder).rglob("*") if path.is_file()]
        each = sum(path.stat().st_size for path in files) / max(1, pace.steps + 1)
    stage = Stage(
        "Rendering", len(left), "sequences", pace.seconds * len(left) / workers,
        round(each * len(left)),
        f"{pace.steps} sequences rendered by one process; {workers} share the work",
    )  # fmt: skip
    return finished([stage], out, ())


def estimate_preparation(rehearsal: PrepareResult, workers: int | None) -> Estimate:
    """What :func:`core.workflows.prepare.prepare` would take, after it has listed the source.

    Args:
        rehearsal: What it returns for ``dry_run``.
        workers: Processes; None for one a core.
    """
    left = [job for job in rehearsal.jobs if shard_done(job.folder, job.number) is None]
    frames = sum(raw.weight for job in left for raw in job.sequences)
    found: list[ShardFile] = []
    with tempfile.TemporaryDirectory(prefix="lmgait-") as folder:
        some = [replace(job, sequences=(raw,)) for job in left for raw in sample(job.sequences)]

        def steps() -> Iterator[float]:
            for number, job in enumerate(sample(some)):
                make_shard(replace(job, number=number, folder=Path(folder)), lambda _: None)
                report = Path(folder) / shard_report_name(number)
                found.append(read_json(report, ShardFile, "Free some space."))
                yield job.sequences[0].weight

        pace = measure(steps())
    size = sum(shard.bytes for shard in found) / max(1, sum(shard.frames for shard in found))
    processes = max(1, workers_for(workers, len(left)))
    stage = Stage(
        "Preparing", frames, "frames", frames * pace.seconds / processes, round(frames * size),
        f"{pace.steps} sequences, made by one process; {processes} share the work",
    )  # fmt: skip
    notes = ("Frames of videos and arrays are estimated before they are read.",)
    return finished([stage] if left else [], rehearsal.store, notes)


def features_stages(
    workspace: Workspace, store: Store, manifest: DatasetManifest, config: Config
) -> list[Stage]:
    """Encoding what is missing of a training's stored features; nothing where all is there."""
    image = build_image_encoder(config.model.image)
    plan = plan_features(workspace, store, manifest, config, image)
    if plan.complete:
        return []
    engine = make_engine()
    image.to(engine.device)
    plain = _without_workers(config)
    indices = sample([index for part in plan.info.parts for index, _ in part])

    def steps() -> Iterator[float]:
        for _, frames in sequence_chunks(plain, store, indices, engine):
            image(frames.to(engine.device)).sum().item()
            yield len(frames)

    pace, turns = measure(steps()), 2 if plan.info.mirrored else 1
    seconds = plan.info.frames * pace.seconds * turns
    basis = f"{pace.steps} chunks of frames, encoded once"
    return [Stage("Features", plan.info.frames, "frames", seconds, plan.info.bytes, basis)]


def embedding_stage(loaded: LoadedModel, store: Store, indices: Sequence[int]) -> Stage:
    """Embedding these sequences of a store."""
    engine = make_engine()
    plain = replace(loaded, config=_without_workers(loaded.config))
    frames = sum(store.sequences[index].frames for index in indices)

    def steps() -> Iterator[float]:
        for index in sample(indices):
            embed_sequences(plain, store, [index], engine, SilentProgress(), source="")
            yield store.sequences[index].frames

    pace = measure(steps()) if indices else Pace(0.0, 0)
    gait = loaded.config.model.gait
    return Stage(
        "Embedding", len(indices), "sequences", frames * pace.seconds,
        len(indices) * gait.embedding * gait.strips * 4,
        f"{pace.steps} sequences, by their frames; read and computed by one process",
    )  # fmt: skip


def finished(stages: Sequence[Stage], place: Path, notes: tuple[str, ...]) -> Estimate:
    """The stages with what is free on the disk of ``place``, which need not exist yet."""
    fits = (f"{s.name}: {s.memory.describe()}" for s in stages if s.memory is not None)
    notes = (*fits, *notes)
    there = next(folder for folder in (place, *place.absolute().parents) if folder.is_dir())
    return Estimate(tuple(stages), shutil.disk_usage(there).free, notes)


def _without_workers(config: Config) -> Config:
    # Worker processes take longer to start than a measurement lasts.
    return config.model_copy(update={"data": config.data.model_copy(update={"workers": 0})})


def sample(items: Sequence[T]) -> list[T]:
    """A few items from all over; more than a measurement is likely to use."""
    step = max(1, len(items) // SAMPLE)
    return list(items[::step][:SAMPLE])
