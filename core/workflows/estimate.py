"""`--dry-run` of the verbs that embed or render: what they will take, from a few real steps."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from accelerate import Accelerator

from core.manifests.schema import DatasetManifest
from core.models.base import implementation_of
from core.progress import Progress, SilentProgress
from core.storage.store import Store
from core.training.engine import make_engine
from core.training.rehearsal import Pace, measure
from core.walkers.datasets import check_dataset, check_form
from core.walkers.poses import check_poses
from core.walkers.write import sequence_places, write_sequence
from core.workflows.embed import embed_sequences
from core.workflows.evaluate import used_sequences
from core.workflows.model_inputs import check_inputs
from core.workflows.models import LoadedModel, load_model
from core.workflows.runs import find_run
from core.workflows.stages import (
    Estimate,
    Stage,
    counted,
    finished,
    sample,
    without_workers,
)
from core.workflows.stores import open_store
from core.workflows.synthesize import wanted_keys
from core.workspace import Workspace


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
    run = find_run(workspace.runs, name=run_name, dataset=train_dataset, or_any=not scored)
    store, manifest = open_store(workspace, test_dataset or run.dataset)
    check_inputs(store, run.config)
    engine = make_engine()
    loaded = load_model(run, device=engine.device, settings=settings)
    progress.say(f"Run {run.name}, sequences of {manifest.title}.")
    indices = used_sequences(store, manifest, everyone=everyone)
    notes = ("Scoring itself is not in it.",) if scored else ()
    return finished(
        [embedding_stage(loaded, store, manifest, indices, engine)], workspace.root, notes
    )


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
    form: str | None = None,
    with_poses: bool = False,
) -> Estimate:
    """What :func:`core.workflows.synthesize.synthesize` would take (raises as it does)."""
    dataset = check_dataset(dataset)
    form = check_form(dataset, form)
    if with_poses:
        check_poses(dataset)
    keys, _, _ = wanted_keys(
        dataset,
        train_subjects=train_subjects,
        test_subjects=test_subjects,
        types=types,
        views=views,
        frames=frames,
        workers=workers,
        seed=seed,
    )
    places = {key: sequence_places(dataset, out, key, form, with_poses=with_poses) for key in keys}
    left = [key for key in keys if not all(place.exists() for place in places[key])]
    chosen = sample(left)
    with tempfile.TemporaryDirectory(prefix="lmgait-") as folder:

        def steps() -> Iterator[float]:
            for key in chosen:
                to = Path(folder)
                write_sequence(dataset, form, to, key, frames, seed, with_poses=with_poses)
                yield 1

        pace = measure(steps()) if chosen else Pace(0.0, 0)
        files = [path for path in Path(folder).rglob("*") if path.is_file()]
        each = sum(path.stat().st_size for path in files) / max(1, pace.steps + 1)
    stage = Stage(
        "Rendering",
        len(left),
        "sequences",
        pace.seconds * len(left) / workers,
        round(each * len(left)),
        f"{counted(pace.steps, 'sequences')} rendered by one process; processes: {workers}",
    )
    return finished([stage], out, ())


def embedding_stage(
    loaded: LoadedModel,
    store: Store,
    manifest: DatasetManifest,
    indices: Sequence[int],
    engine: Accelerator,
) -> Stage:
    """Embedding these sequences of a store."""
    plain = replace(loaded, config=without_workers(loaded.config))
    frames = sum(store.sequences[index].frames for index in indices)

    def steps() -> Iterator[float]:
        for index in sample(indices):
            embed_sequences(plain, store, manifest, [index], engine, SilentProgress(), source="")
            yield store.sequences[index].frames

    pace = measure(steps()) if indices else Pace(0.0, 0)
    channels, strips = implementation_of(loaded.config.model).shape(loaded.config.model)
    return Stage(
        "Embedding",
        len(indices),
        "sequences",
        frames * pace.seconds,
        len(indices) * channels * strips * 4,
        f"{counted(pace.steps, 'sequences')}, by their frames; read and computed by one process",
    )
