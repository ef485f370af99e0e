"""Walks of people who are certainly not in a gallery: test subjects of the run's dataset."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from accelerate import Accelerator

from core.errors import DataError, UsageError
from core.inference.embed import embed_sequences
from core.inference.embed_run import embeddings_path
from core.inference.model_inputs import check_inputs, source_line
from core.manifests.schema import DatasetManifest
from core.progress import Progress
from core.recognition.gallery import ModelId
from core.records import EmbeddingSet
from core.runs.load import LoadedModel
from core.runs.run import Run
from core.runs.stores import open_store
from core.storage.embeddings import read_embeddings, write_embeddings
from core.storage.store import Store
from core.storage.subjects import sequences_of
from core.workspace import Workspace

# More walks give the share a finer resolution but take longer the first time.
MAX_WALKS = 400


def strangers_of(
    workspace: Workspace,
    run: Run,
    loaded: LoadedModel,
    maker: ModelId,
    engine: Accelerator,
    progress: Progress,
) -> EmbeddingSet | None:
    """Embeddings of test subjects of the run's dataset, who are not in its training set.

    Embeddings of `lmgait evaluate` for this checkpoint and store are reused; otherwise they are
    computed once and stored in the run, bound to both. If the store has no test subject, training
    subjects are used and a message says so; without a store there are no strangers.

    Raises:
        OutputError: the embeddings cannot be written.
    """
    try:
        store, manifest = open_store(workspace, run.dataset)
        check_inputs(store, run.config)
    except (DataError, UsageError) as error:
        progress.say(f"No strangers to compare with: {error}")
        return None
    source = source_line(run, int(loaded.header["step"]), store)
    scored = _stored(embeddings_path(run, manifest), source)
    description = "test subjects"
    if scored is not None:
        strangers = _subset(scored, _draw(len(scored)))
    else:
        indices, trained_on = _sample(store, manifest)
        description = "training subjects, whom the model knows," if trained_on else description
        path = embeddings_path(run, manifest).with_name(f"strangers-{manifest.name}.npz")
        source = f"{description} {MAX_WALKS}; {maker.fingerprint}; {source}"
        stored = _stored(path, source)
        strangers = stored or embed_sequences(
            loaded, store, manifest, indices, engine, progress, source=source
        )
        if stored is None:
            write_embeddings(path, strangers)
    people = len(set(strangers.labels))
    progress.say(
        f"Strangers: {len(strangers)} walks of {people} {description} of {manifest.title}."
    )
    return strangers


def _sample(store: Store, manifest: DatasetManifest) -> tuple[list[int], bool]:
    """Indices of at most :data:`MAX_WALKS` sequences, and whether they are training sequences."""
    of_test = sequences_of(store, manifest.subjects.test)
    indices = of_test or sequences_of(store, manifest.subjects.train)
    return [indices[place] for place in _draw(len(indices))], not of_test


def _draw(count: int) -> list[int]:
    """Draw at most :data:`MAX_WALKS` of ``count`` indices at random (fixed seed)."""
    return sorted(np.random.default_rng(0).permutation(count)[:MAX_WALKS].tolist())


def _subset(embeddings: EmbeddingSet, indices: list[int]) -> EmbeddingSet:
    labels, types, views = (
        tuple(column[index] for index in indices)
        for column in (embeddings.labels, embeddings.types, embeddings.views)
    )
    return EmbeddingSet(embeddings.embeddings[indices], labels, types, views, embeddings.source)


def _stored(path: Path, source: str) -> EmbeddingSet | None:
    try:
        embeddings = read_embeddings(path)
    except DataError:
        return None
    return embeddings if embeddings.source == source else None
