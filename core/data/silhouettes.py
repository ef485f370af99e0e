"""Whole sequences of silhouettes, for models that read nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from core.data.augment import cut_sides
from core.data.cutting import SilhouettePieces, silhouette_frames
from core.data.loading import read_ahead
from core.manifests.schema import SilhouetteCut
from core.records import SilhouetteKind
from core.storage.store import Store
from core.video.cut import CutSize


def silhouette_chunks(
    store: Store,
    indices: Sequence[int],
    cut: SilhouetteCut,
    *,
    size: CutSize,
    length: int,
    workers: int,
    which: SilhouetteKind = "cut",
) -> Iterator[tuple[int, Tensor]]:
    """Usable silhouettes of whole sequences, cut as they are read, or as they were delivered.

    A sequence without a usable silhouette has no chunk.

    Args:
        store: The prepared store.
        indices: Sequences.
        cut: How the dataset's silhouettes are cut.
        size: Rows of a silhouette.
        length: Most frames of a chunk.
        workers: Processes that read ahead and cut; 0: in this one.
        which: Whether they are cut from masks, or were delivered.

    Yields:
        Number of the sequence, and silhouettes uint8 [t, H, W] without sides, in time order.

    Raises:
        StoreError: the store is damaged, or does not hold them.
        UsageError: delivered ones have another number of rows.
    """
    pieces = SilhouettePieces(store, indices, size, cut, which)
    items = read_ahead(pieces, workers=min(workers, len(pieces)))
    for index in indices:
        left = silhouette_frames(store, index, which)
        while left > 0:
            cuts, usable = next(items)
            left -= len(cuts)
            images = torch.from_numpy(np.ascontiguousarray(cut_sides(cuts[usable].numpy())))
            for chunk in images.split(length) if len(images) else ():
                yield index, chunk
