"""Embeddings of whole sequences: each exactly once, whatever the number of processes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor
from torch.utils.data import Dataset

from core.config import Config
from core.data.cutting import PIECE
from core.data.dataset import read_frames, reduced_size
from core.data.loading import empty, read_ahead, workers_explained
from core.data.silhouettes import silhouette_chunks
from core.data.stream_clips import stream_chunks
from core.inference.model_inputs import inputs_now, silhouette_settings
from core.manifests.schema import DatasetManifest
from core.models.backbones.config import EncoderFamilyConfig, encoder_settings
from core.models.base import implementation_of
from core.models.families import inputs_of
from core.progress import Progress
from core.records import FRAME_HEIGHT, FRAME_WIDTH, EmbeddingSet
from core.runs.load import LoadedModel
from core.storage.store import Store
from core.training.engine import reading_workers

# A frame of the largest input beside silhouettes, about: a skeleton map.
MAP_BYTES = 2 * 64**2
MASKED_FRAME_BYTES = FRAME_HEIGHT * FRAME_WIDTH * 4


class SequenceChunks(Dataset[tuple[int, Tensor]]):
    """Frames of sequences cut into chunks, sequence by sequence in time order.

    Args:
        store: The prepared store.
        indices: Sequences.
        length: Most frames of a chunk.
        size: (H, W) of frames, reduced as in training.
    """

    def __init__(
        self, store: Store, indices: Sequence[int], length: int, size: tuple[int, int]
    ) -> None:
        self._store, self._size = store, size
        self._chunks = [
            (index, begin, min(begin + length, store.sequences[index].frames))
            for index in indices
            for begin in range(0, store.sequences[index].frames, length)
        ]

    def __len__(self) -> int:
        return len(self._chunks)

    def __getitem__(self, at: int) -> tuple[int, Tensor]:
        """Number of the sequence, and frames uint8 [t, 3, H, W], colours last in memory."""
        index, begin, end = self._chunks[at]
        frames = empty((end - begin, *self._size, 3), torch.uint8)
        read_frames(self._store, index, slice(begin, end), frames.numpy())
        return index, frames.permute(0, 3, 1, 2)


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
        Embeddings in the order of ``indices``, without the sequences that have nothing the model
        reads: no usable silhouette, no pose, or no frame that has all of its inputs.
    """
    mine = list(indices)[engine.process_index :: engine.num_processes]
    found: list[tuple[int, np.ndarray]] = []
    with progress.task("Embedding", len(mine), "sequences") as task:
        for index, chunks in _by_sequence(loaded, store, manifest, mine, engine):
            found.append((index, loaded.embed(chunks)))
            task.advance()
        task.advance(len(mine) - len(found))
    everyone = dict(gather_object(found) if engine.num_processes > 1 else found)
    numbers = [index for index in indices if index in everyone]
    keys = [store.sequences[index].key for index in numbers]
    settings = loaded.config.model
    none = np.empty((0, *implementation_of(settings).shape(settings)), np.float32)
    return EmbeddingSet(
        np.stack([everyone[index] for index in numbers]) if numbers else none,
        tuple(key.subject for key in keys),
        tuple(key.type for key in keys),
        tuple(key.view for key in keys),
        source,
    )


def _by_sequence(
    loaded: LoadedModel,
    store: Store,
    manifest: DatasetManifest,
    indices: Sequence[int],
    engine: Accelerator,
) -> Iterator[tuple[int, Iterator[Any]]]:
    chunks = _chunks(loaded.config, store, manifest, indices, engine)
    for index, group in groupby(chunks, key=lambda item: int(item[0])):
        yield index, (chunk for _, chunk in group)


def _chunks(
    config: Config,
    store: Store,
    manifest: DatasetManifest,
    indices: Sequence[int],
    engine: Accelerator,
) -> Iterator[tuple[int, Any]]:
    """What the model reads of each sequence, in order, read ahead."""
    if isinstance(config.model, EncoderFamilyConfig):
        return sequence_chunks(config, store, indices, engine)
    settings, length = silhouette_settings(config), config.evaluate.frames_per_chunk
    names = inputs_of(config.model)
    if settings is None or len(names) > 1:
        framed = "rgb" in names
        item = length * MASKED_FRAME_BYTES if framed else PIECE * MAP_BYTES
        return stream_chunks(
            partial(inputs_now, store, manifest, config),
            indices,
            length=length,
            workers=reading_workers(engine, config.data.workers, item),
            counts=[store.sequences[index].frames for index in indices] if framed else None,
        )
    return silhouette_chunks(
        store,
        indices,
        manifest.silhouette_cut,
        size=settings.size,
        length=length,
        workers=reading_workers(engine, config.data.workers, PIECE * settings.size**2),
        which=settings.silhouettes,
    )


def sequence_chunks(
    config: Config, store: Store, indices: Sequence[int], engine: Accelerator
) -> Iterator[tuple[int, Tensor]]:
    """Number of the sequence and frames uint8 [t, 3, H, W] of each chunk, in order, read ahead.

    They are pinned where ``engine`` computes on a GPU.
    """
    image, length = encoder_settings(config.model), config.evaluate.frames_per_chunk
    size = reduced_size((image.height, image.width))
    data = SequenceChunks(store, indices, length, size)
    workers = reading_workers(engine, config.data.workers, length * math.prod(size) * 3)
    pin = engine.device.type == "cuda"
    yield from read_ahead(data, workers=min(workers, len(data)), pin=pin)
