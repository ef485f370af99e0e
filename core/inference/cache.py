"""Embeddings that an earlier command left in the run's folder, where they still belong to it."""

from __future__ import annotations

from collections.abc import Callable

from accelerate import Accelerator

from core.errors import DataError
from core.inference.embed_run import embed_and_write, embeddings_path, used_sequences
from core.inference.left_out import left_out_path, without_inputs
from core.inference.model_inputs import source_line
from core.manifests.schema import DatasetManifest
from core.progress import Progress
from core.records import EmbeddingSet
from core.runs.load import LoadedModel
from core.runs.run import Run
from core.storage.embeddings import one_line, read_embeddings
from core.storage.store import Store


def cached_or_new_embeddings(
    run: Run,
    step: int,
    store: Store,
    manifest: DatasetManifest,
    engine: Accelerator,
    load: Callable[[], LoadedModel],
    progress: Progress,
) -> EmbeddingSet:
    """The embeddings of the sequences that ``manifest``'s protocols use.

    What ``<run>/embeddings/<dataset>.npz`` holds is taken if it names this run, this checkpoint and
    this store, and holds these sequences; else they are computed, and kept there.

    Args:
        run: The run.
        step: Iteration of its newest checkpoint.
        store: Holds the sequences.
        manifest: Says which are used.
        engine: Computes them.
        load: Loads the run's model.
        progress: Told where they come from.

    Raises:
        DataError: the store holds none of them.
        CheckpointError, WeightsError, OutputError: see their texts.
    """
    path = embeddings_path(run, manifest)
    embeddings = cached_embeddings(run, step, store, manifest, progress)
    if embeddings is not None:
        progress.say(f"Embeddings from {path}")
        return embeddings
    made = embed_and_write(path, run, store, manifest, engine, progress, loaded=load())
    progress.say(f"Embeddings in {path}")
    return made


def cached_embeddings(
    run: Run, step: int, store: Store, manifest: DatasetManifest, progress: Progress
) -> EmbeddingSet | None:
    """What is in the run's folder, if it is of this checkpoint, store and sequences; else None."""
    path = embeddings_path(run, manifest)
    if not path.is_file():
        return None
    try:
        embeddings, absent = read_embeddings(path), without_inputs(left_out_path(path))
    except DataError as error:
        progress.say(f"Not used: {error}")
        return None
    used = [store.sequences[index].key for index in used_sequences(store, manifest)]
    keys = [key for key in used if str(key) not in absent]
    if embeddings.source != one_line(source_line(run, step, store, len(used) - len(keys))):
        return None
    named = list(zip(embeddings.labels, embeddings.types, embeddings.views, strict=True))
    return embeddings if keys == named else None
