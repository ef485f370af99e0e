"""Embeddings of a run: of the sequences that protocols use, in a file beside the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from accelerate import Accelerator

from core.config.machine import EMBEDDING_MEMORY
from core.inference.embed import embed_sequences
from core.inference.left_out import (
    Reason,
    count_absent,
    left_out_path,
    missing_inputs,
    no_sequence_error,
    not_embedded,
    unused_in_tests,
    write_left_out,
)
from core.inference.model_inputs import check_inputs, source_line
from core.manifests.schema import DatasetManifest
from core.models.capabilities import TextCache
from core.models.families import inputs_of
from core.progress import Progress
from core.records import EmbeddingSet
from core.runs.load import LoadedModel, load_model, newest_checkpoint
from core.runs.run import Run
from core.storage.embeddings import write_embeddings
from core.storage.store import Store
from core.system.failures import explain_gpu_memory
from core.system.locks import writing
from core.training.engine import lock_on_main, make_engine, run_on_main


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
    with lock_on_main(engine, lambda: writing(path, what="file of embeddings")):
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
        run_on_main(engine, lambda: write_embeddings(path, embeddings))
        lack = missing_inputs(inputs_of(run.config.model))
        reason = not_embedded(unused, embeddings, lack)
        run_on_main(engine, lambda: write_left_out(left_out_path(path), store, reason))
    return embeddings


@explain_gpu_memory(EMBEDDING_MEMORY)
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
        checkpoint = run_on_main(engine, lambda: newest_checkpoint(run))
        loaded = load_model(run, device=engine.device, settings=settings, checkpoint=checkpoint)
    caching = TextCache.find(loaded.config.model)
    if caching is not None and caching.live(loaded.model):
        progress.say("The text branch runs live; `lmgait cache-text` spares it.")
    indices = used_sequences(store, manifest, everyone=everyone)
    if not indices:
        raise no_sequence_error(store, manifest)
    embeddings = embed_sequences(loaded, store, manifest, indices, engine, progress, source="")
    inputs = inputs_of(run.config.model)
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
