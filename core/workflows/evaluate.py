"""`lmgait evaluate`, `lmgait embed` and `lmgait cross-eval`: from a run (or a file) to tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from accelerate import Accelerator

from core.config.machine import EMBEDDING_MEMORY
from core.errors import gpu_memory_explained
from core.locks import writing
from core.manifests.load import OFFICIAL, chosen_protocols, load_manifest
from core.manifests.schema import DatasetManifest
from core.metrics.distance import known_metric
from core.metrics.results import EvaluationResult
from core.models.capabilities import TextCache
from core.models.families import family_of
from core.progress import Progress
from core.records import EmbeddingSet
from core.storage.embeddings import check_ending, read_embeddings, write_embeddings
from core.storage.store import Store
from core.training.engine import all_threads, decide, held, joined, make_engine
from core.workflows.embed import embed_sequences
from core.workflows.left_out import (
    Reason,
    beside,
    count_absent,
    lacking,
    not_embedded,
    nothing_used,
    unused_in_tests,
    write_left_out,
)
from core.workflows.model_inputs import check_inputs, source_line
from core.workflows.models import LoadedModel, load_model, newest_checkpoint
from core.workflows.runs import Run, find_run
from core.workflows.score import score
from core.workflows.shared_store import open_shared_store
from core.workflows.submission import SUBMISSIONS, Submission, write_submissions
from core.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Scoring:
    """How embeddings are scored; see :func:`core.workflows.score.score`."""

    probe_gallery: str = OFFICIAL
    metric: str | None = None
    rerank: bool = False
    bootstrap: int = 0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A result and where it came from; ``run`` and ``embeddings`` are None for a given file.

    ``submissions`` are the files for servers that know who the hidden probes are.
    """

    result: EvaluationResult
    run: Run | None
    embeddings: Path | None
    submissions: tuple[Submission, ...] = ()


def evaluate_run(
    workspace: Workspace,
    *,
    run_name: str | None,
    train_dataset: str | None,
    test_dataset: str | None,
    scoring: Scoring,
    progress: Progress,
    settings: Sequence[str] = (),
) -> Evaluation:
    """Embed the test subjects of a store with a run's model and score them.

    Args:
        workspace: Where stores and runs live.
        run_name: Which run; None takes the newest of ``train_dataset``.
        train_dataset: What the run was trained on; None with ``run_name`` None takes the newest.
        test_dataset: Whose store is embedded; None takes the run's own dataset.
        scoring: Protocols and metric.
        progress: Told of the run and the sequences.
        settings: ``key=value`` of this machine (:func:`core.config.machine.on_this_machine`).

    Raises:
        UsageError: no such run, dataset or protocol.
        StoreError, DataError, CheckpointError, WeightsError: see their texts.
    """
    run = decide(
        joined(),
        lambda: find_run(workspace.runs, name=run_name, dataset=train_dataset, progress=progress),
    )
    store, manifest = open_shared_store(workspace, test_dataset or run.dataset)
    rules, names = chosen_protocols(scoring.probe_gallery, manifest)
    progress.say(f"Run {run.name} (trained on {run.dataset}), tested on {manifest.title}.")
    path, engine = embeddings_path(run, manifest), make_engine()
    embeddings = embed_and_write(path, run, store, rules, engine, progress, settings=settings)
    progress.say(f"Embeddings in {path}")
    metric = scoring.metric or run.config.evaluate.distance
    folder = run.folder / SUBMISSIONS
    result, submissions = _scored(
        embeddings, rules, names, metric, scoring, engine, progress, folder
    )
    return Evaluation(result, run, path, submissions)


def evaluate_file(
    path: Path,
    dataset: str,
    *,
    scoring: Scoring,
    progress: Progress,
    workspace: Workspace | None = None,
) -> Evaluation:
    """Score any model's embeddings from an .npz or .h5 file.

    Args:
        path: The file.
        dataset: Whose protocols; a name or a manifest file.
        scoring: Protocols and metric.
        progress: Told of the work.
        workspace: Where the dataset's partition file is, if it has one; None for the usual one.

    Raises:
        UsageError: an unknown dataset or protocol.
        DataError: a malformed file, or no embedding of a test subject.
    """
    rules, names = chosen_protocols(scoring.probe_gallery, load_manifest(dataset, workspace))
    embeddings = read_embeddings(path)
    metric, folder = scoring.metric or "euclidean", path.with_name(f"{path.name}.{SUBMISSIONS}")
    result, submissions = _scored(
        embeddings, rules, names, metric, scoring, make_engine(), progress, folder
    )
    return Evaluation(result, None, None, submissions)


def embed_to_file(
    workspace: Workspace,
    path: Path,
    *,
    run_name: str | None,
    dataset: str | None,
    everyone: bool,
    progress: Progress,
    settings: Sequence[str] = (),
) -> EmbeddingSet:
    """Embed a dataset's sequences with a run's model and write them to ``path`` (.npz or .h5).

    What is not embedded is listed in ``<path>.left-out.json``.

    Args:
        workspace: Where stores and runs live.
        path: The file.
        run_name: Which run; None takes the newest of ``dataset``, else the newest of all.
        dataset: Whose store; None takes the run's own.
        everyone: All sequences, not only those that the protocols use.
        progress: Counts sequences.
        settings: As in :func:`evaluate_run`.

    Raises:
        UsageError: no such run or dataset, or an ending that is neither .npz nor .h5.
        StoreError, DataError, CheckpointError, WeightsError, OutputError: see their texts.
    """
    check_ending(path)
    run = decide(
        joined(),
        lambda: find_run(
            workspace.runs, name=run_name, dataset=dataset, or_any=True, progress=progress
        ),
    )
    store, manifest = open_shared_store(workspace, dataset or run.dataset)
    progress.say(f"Run {run.name} (trained on {run.dataset}), sequences of {manifest.title}.")
    return embed_and_write(
        path, run, store, manifest, make_engine(), progress, everyone=everyone, settings=settings
    )


def embed_and_write(
    path: Path,
    run: Run,
    store: Store,
    manifest: DatasetManifest,
    engine: Accelerator,
    progress: Progress,
    *,
    everyone: bool = False,
    settings: Sequence[str] = (),
    loaded: LoadedModel | None = None,
) -> EmbeddingSet:
    """Embed as :func:`embed_run` does, and write ``path`` from the main process.

    ``path`` is held from before the work to the end of it. What is not embedded is listed in
    ``<path>.left-out.json``.

    Raises:
        OutputError: it cannot be written, or another process is writing it.
    """
    unused: Reason = (lambda key: None) if everyone else unused_in_tests(manifest)
    with held(engine, lambda: writing(path, what="file of embeddings")):
        embeddings = embed_run(
            run,
            store,
            manifest,
            progress,
            everyone=everyone,
            engine=engine,
            settings=settings,
            loaded=loaded,
        )
        decide(engine, lambda: write_embeddings(path, embeddings))
        lack = lacking(family_of(run.config.model).inputs)
        reason = not_embedded(unused, embeddings, lack)
        decide(engine, lambda: write_left_out(beside(path), store, reason))
    return embeddings


@gpu_memory_explained(EMBEDDING_MEMORY)
def embed_run(
    run: Run,
    store: Store,
    manifest: DatasetManifest,
    progress: Progress,
    *,
    everyone: bool = False,
    engine: Accelerator | None = None,
    settings: Sequence[str] = (),
    loaded: LoadedModel | None = None,
) -> EmbeddingSet:
    """Embed the sequences of the test (or all) subjects that ``manifest``'s protocols use.

    Sequences without anything that the model reads are left out, and their number is reported.
    ``loaded`` is the run's model where it is loaded already; ``settings`` are as in evaluation.

    Raises:
        DataError: the store holds none of them, or none that the model can read.
        StoreError, UsageError: it lacks what the model reads.
        CheckpointError, WeightsError: the model cannot be loaded.
    """
    check_inputs(store, run.config)
    engine = engine or make_engine()
    if loaded is None:
        checkpoint = decide(engine, lambda: newest_checkpoint(run))
        loaded = load_model(run, device=engine.device, settings=settings, checkpoint=checkpoint)
    caching = TextCache.find(loaded.config.model)
    if caching is not None and caching.live(loaded.model):
        progress.say("The text branch runs live; `lmgait cache-text` spares it.")
    indices = used_sequences(store, manifest, everyone=everyone)
    if not indices:
        raise nothing_used(store, manifest)
    embeddings = embed_sequences(loaded, store, manifest, indices, engine, progress, source="")
    inputs = family_of(run.config.model).inputs
    absent = count_absent(store, len(indices), len(embeddings), inputs, progress)
    return replace(embeddings, source=source_line(run, int(loaded.header["step"]), store, absent))


def embeddings_path(run: Run, manifest: DatasetManifest) -> Path:
    """Where a run keeps its embeddings of a dataset's test subjects."""
    return run.folder / "embeddings" / f"{manifest.name}.npz"


def used_sequences(store: Store, manifest: DatasetManifest, *, everyone: bool = False) -> list[int]:
    """Numbers of the sequences that a protocol uses as probe or gallery, test subjects only."""
    unused = unused_in_tests(manifest)
    return [
        number
        for number, info in enumerate(store.sequences)
        if everyone or unused(info.key) is None
    ]


def _scored(
    embeddings: EmbeddingSet,
    rules: DatasetManifest,
    names: Sequence[str] | None,
    metric: str,
    scoring: Scoring,
    engine: Accelerator,
    progress: Progress,
    folder: Path,
) -> tuple[EvaluationResult, tuple[Submission, ...]]:
    """Score in the main process, on all of the machine's processors; the others get the result."""
    distance = known_metric(metric)

    def work() -> tuple[EvaluationResult, tuple[Submission, ...]]:
        with all_threads(engine):
            result = score(
                embeddings,
                rules,
                metric=distance,
                rerank=scoring.rerank,
                bootstrap=scoring.bootstrap,
                seed=scoring.seed,
                protocols=names,
                progress=progress,
            )
            return result, write_submissions(
                folder,
                embeddings,
                rules,
                names,
                metric=distance,
                rerank=scoring.rerank,
                progress=progress,
            )

    return decide(engine, work)
