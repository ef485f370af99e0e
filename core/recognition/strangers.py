"""Walks of people who are certainly in no gallery: those of the run's own dataset."""

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

# More tell the share of those who come near more finely, and take longer the first time.
MOST = 400


def strangers_of(
    workspace: Workspace,
    run: Run,
    loaded: LoadedModel,
    maker: ModelId,
    engine: Accelerator,
    progress: Progress,
) -> EmbeddingSet | None:
    """Embeddings of test subjects of the run's dataset, who were never seen in training.

    They are those of `lmgait evaluate` where it has scored this checkpoint on this store; else they
    are computed once and kept beside the run, bound to both. Where the store has no test subject,
    training subjects are taken and that is said; without a store there are no strangers.

    Raises:
        OutputError: the embeddings cannot be kept.
    """
    try:
        store, manifest = open_store(workspace, run.dataset)
        check_inputs(store, run.config)
    except (DataError, UsageError) as error:
        progress.say(f"No strangers to compare with: {error}")
        return None
    source = source_line(run, int(loaded.header["step"]), store)
    scored = _kept(embeddings_path(run, manifest), source)
    whose = "test subjects"
    if scored is not None:
        found = _some(scored, _spread(len(scored)))
    else:
        indices, seen = _chosen(store, manifest)
        whose = "training subjects, whom the model knows," if seen else whose
        path = embeddings_path(run, manifest).with_name(f"strangers-{manifest.name}.npz")
        source = f"{whose} {MOST}; {maker.fingerprint}; {source}"
        kept = _kept(path, source)
        found = kept or embed_sequences(
            loaded, store, manifest, indices, engine, progress, source=source
        )
        if kept is None:
            write_embeddings(path, found)
    people = len(set(found.labels))
    progress.say(f"Strangers: {len(found)} walks of {people} {whose} of {manifest.title}.")
    return found


def _chosen(store: Store, manifest: DatasetManifest) -> tuple[list[int], bool]:
    """Numbers of at most :data:`MOST` sequences, spread over all, and whether training saw them."""
    of_test = sequences_of(store, manifest.subjects.test)
    chosen = of_test or sequences_of(store, manifest.subjects.train)
    return [chosen[place] for place in _spread(len(chosen))], not of_test


def _spread(count: int) -> list[int]:
    """At most :data:`MOST` places, drawn so that every subject, type and view gets its share."""
    return sorted(np.random.default_rng(0).permutation(count)[:MOST].tolist())


def _some(whole: EmbeddingSet, places: list[int]) -> EmbeddingSet:
    labels, types, views = (
        tuple(column[place] for place in places)
        for column in (whole.labels, whole.types, whole.views)
    )
    return EmbeddingSet(whole.embeddings[places], labels, types, views, whole.source)


def _kept(path: Path, source: str) -> EmbeddingSet | None:
    try:
        found = read_embeddings(path)
    except DataError:
        return None
    return found if found.source == source else None
