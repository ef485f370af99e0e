"""Walks of people who are certainly in no gallery: those of the run's own dataset."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from core.errors import DataError, LmgaitError, StoreError
from core.manifests.schema import DatasetManifest
from core.progress import Progress
from core.recognition.gallery import Maker
from core.records import EmbeddingSet
from core.storage.embeddings import read_embeddings, write_embeddings
from core.storage.store import Store
from core.training.engine import make_engine
from core.workflows.embed import embed_sequences
from core.workflows.models import LoadedModel
from core.workflows.runs import Run
from core.workflows.stores import open_store
from core.workspace import Workspace

# More tell the share of those who come near more finely, and take longer the first time.
MOST = 400


def strangers_of(
    workspace: Workspace, run: Run, loaded: LoadedModel, maker: Maker, progress: Progress
) -> EmbeddingSet | None:
    """Embeddings of test subjects of the run's dataset, who were never seen in training.

    They are computed once and kept beside the run, bound to its checkpoint and to the store. Where
    the store has no test subject, training subjects are taken and that is said; without a store
    there are no strangers.

    Raises:
        StoreError: the store is damaged.
        OutputError: the embeddings cannot be kept.
    """
    try:
        store, manifest = open_store(workspace, run.dataset)
    except (StoreError, LmgaitError) as error:
        progress.say(f"No strangers to compare with: {error}")
        return None
    indices, seen = _chosen(store, manifest)
    whose = "training subjects, whom the model knows" if seen else "test subjects"
    source = f"{whose} of {manifest.title}, {maker.fingerprint}, {store.fingerprint}, {MOST}"
    path = run.folder / "embeddings" / f"strangers-{manifest.name}.npz"
    found = _kept(path, source)
    if found is None:
        found = embed_sequences(loaded, store, indices, make_engine(), progress, source=source)
        write_embeddings(path, found)
    people = len(set(found.labels))
    progress.say(f"Strangers: {len(found)} walks of {people} {whose} of {manifest.title}.")
    return found


def _chosen(store: Store, manifest: DatasetManifest) -> tuple[list[int], bool]:
    """Numbers of at most :data:`MOST` sequences, spread over all, and whether training saw them."""
    test, train = set(manifest.subjects.test), set(manifest.subjects.train)
    of_test = [n for n, info in enumerate(store.sequences) if info.key.subject in test]
    of_train = [n for n, info in enumerate(store.sequences) if info.key.subject in train]
    chosen = of_test or of_train
    # A step that fits no number of views or types: each gets its share.
    order = np.random.default_rng(0).permutation(len(chosen))[:MOST]
    return sorted(chosen[place] for place in order.tolist()), not of_test


def _kept(path: Path, source: str) -> EmbeddingSet | None:
    try:
        found = read_embeddings(path)
    except DataError:
        return None
    return found if found.source == source else None
