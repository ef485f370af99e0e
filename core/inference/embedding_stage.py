"""What embedding sequences takes, from a few of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from accelerate import Accelerator

from core.estimates.stages import Stage, counted, sample, without_workers
from core.inference.embed import embed_sequences
from core.manifests.schema import DatasetManifest
from core.models.base import implementation_of
from core.progress import SilentProgress
from core.runs.load import LoadedModel
from core.storage.store import Store
from core.training.pace import Pace, measure


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
