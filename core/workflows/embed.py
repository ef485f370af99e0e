"""Embeddings of whole sequences: each exactly once, whatever the number of processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor
from torch.utils.data import Dataset

from core.config import Config
from core.data.dataset import reduced_size, to_tensor
from core.data.loading import read_ahead, workers_explained
from core.data.silhouettes import silhouette_chunks
from core.manifests.schema import DatasetManifest
from core.models.backbones.config import encoder_settings
from core.models.silhouettes import SilhouetteFamilyConfig
from core.progress import Progress
from core.records import EmbeddingSet
from core.storage.store import Store
from core.workflows.models import LoadedModel


class SequenceChunks(Dataset[tuple[int, Tensor]]):
    """Frames of sequences cut into chunks, sequence by sequence in time order.

    Args:
        store: The prepared store.
        indices: Sequences.
        length: Most frames of a chunk.
        frame_size: (H, W) as in training.
    """

    def __init__(
        self, store: Store, indices: Sequence[int], length: int, frame_size: tuple[int, int]
    ) -> None:
        self._store, self._size = store, reduced_size(frame_size)
        self._chunks = [
            (index, begin, min(begin + length, store.sequences[index].frames))
            for index in indices
            for begin in range(0, store.sequences[index].frames, length)
        ]

    def __len__(self) -> int:
        return len(self._chunks)

    def __getitem__(self, at: int) -> tuple[int, Tensor]:
        """Number of the sequence, and frames uint8 [t, 3, H, W]."""
        index, begin, end = self._chunks[at]
        return index, to_tensor(self._store.read(index, slice(begin, end)).rgb, self._size)


@workers_explained()
def embed_sequences(
    loaded: LoadedModel,
    store: Store,
    manifest: DatasetManifest,
    indices: Sequence[int],
    engine: Accelerator,
    progress: Progress,
    *,
    source: str,
) -> EmbeddingSet:
    """Embed sequences of a store with every process taking a share of whole sequences.

    Args:
        loaded: The model.
        store: Its frames.
        manifest: Its dataset.
        indices: Numbers of the sequences, each once.
        engine: Tells this process's share; the result is the same in all of them.
        progress: Counts sequences.
        source: One line for tables.

    Returns:
        Embeddings in the order of ``indices``.
    """
    mine = list(indices)[engine.process_index :: engine.num_processes]
    found: list[tuple[int, np.ndarray]] = []
    with progress.task("Embedding", len(mine), "sequences") as task:
        for index, chunks in _by_sequence(loaded, store, manifest, mine):
            found.append((index, loaded.embed(chunks)))
            task.advance()
    everyone = dict(gather_object(found) if engine.num_processes > 1 else found)
    keys = [store.sequences[index].key for index in indices]
    return EmbeddingSet(
        np.stack([everyone[index] for index in indices]),
        tuple(key.subject for key in keys),
        tuple(key.type for key in keys),
        tuple(key.view for key in keys),
        source,
    )


def _by_sequence(
    loaded: LoadedModel, store: Store, manifest: DatasetManifest, indices: Sequence[int]
) -> Iterator[tuple[int, Iterator[Tensor]]]:
    for index, group in groupby(
        _chunks(loaded.config, store, manifest, indices), key=lambda item: int(item[0])
    ):
        yield index, (chunk for _, chunk in group)


def _chunks(
    config: Config, store: Store, manifest: DatasetManifest, indices: Sequence[int]
) -> Iterator[tuple[int, Tensor]]:
    """What the model reads of each sequence, in order, read ahead."""
    if not isinstance(config.model, SilhouetteFamilyConfig):
        return sequence_chunks(config, store, indices)
    return silhouette_chunks(
        store,
        indices,
        manifest.silhouette_cut,
        size=config.model.input.size,
        length=config.evaluate.frames_per_chunk,
        workers=config.data.workers,
    )


def sequence_chunks(
    config: Config, store: Store, indices: Sequence[int]
) -> Iterator[tuple[int, Tensor]]:
    """Number of the sequence and frames uint8 [t, 3, H, W] of each chunk, in order, read ahead."""
    image = encoder_settings(config.model)
    data = SequenceChunks(
        store, indices, config.evaluate.frames_per_chunk, (image.height, image.width)
    )
    workers = min(config.data.workers, len(data))
    yield from read_ahead(data, workers=workers, batch_size=None, shuffle=False)
