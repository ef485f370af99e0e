"""`lmgait evaluate`, `lmgait embed` and `lmgait cross-eval`: from a run (or a file) to tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from accelerate import Accelerator

from core.estimates.stages import Estimate, make_estimate
from core.evaluation.score import score
from core.evaluation.submission import SUBMISSIONS, Submission, write_submissions
from core.inference.embed_run import embed_and_write, embeddings_path, used_sequences
from core.inference.embedding_stage import embedding_stage
from core.inference.model_inputs import check_inputs
from core.manifests.load import OFFICIAL, chosen_protocols, load_manifest
from core.manifests.schema import DatasetManifest
from core.metrics.distance import known_metric
from core.metrics.results import EvaluationResult
from core.progress import Progress
from core.records import EmbeddingSet
from core.runs.load import load_model
from core.runs.run import Run, find_run
from core.runs.shared_store import open_shared_store
from core.runs.stores import open_store
from core.storage.embeddings import check_ending, read_embeddings
from core.training.engine import all_threads, make_engine, process_state, run_on_main
from core.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Scoring:
    """How embeddings are scored; see :func:`core.evaluation.score.score`."""

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
    run = run_on_main(
        process_state(),
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
    run = run_on_main(
        process_state(),
        lambda: find_run(
            workspace.runs, name=run_name, dataset=dataset, or_any=True, progress=progress
        ),
    )
    store, manifest = open_shared_store(workspace, dataset or run.dataset)
    progress.say(f"Run {run.name} (trained on {run.dataset}), sequences of {manifest.title}.")
    return embed_and_write(
        path, run, store, manifest, make_engine(), progress, everyone=everyone, settings=settings
    )


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

    return run_on_main(engine, work)


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
    return make_estimate(
        [embedding_stage(loaded, store, manifest, indices, engine)], workspace.root, notes
    )
