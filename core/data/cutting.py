"""Silhouettes of a store cut for silhouette models, read ahead by worker processes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from core.manifests.schema import SilhouetteCut
from core.storage.store import Store
from core.video.cut import CutSize, cut_silhouettes

# Frames of a piece: of the largest cuts 8 MB, whatever the length of the sequence.
PIECE = 512


class SilhouettePieces(Dataset[tuple[Tensor, Tensor]]):
    """Sequences of a store in pieces of at most 512 frames, in order.

    An item is the cuts uint8 [t, S, S], zeros where a frame has no usable silhouette, and which
    frames have one, bool [t].

    Args:
        store: The store.
        indices: Numbers of the sequences.
        size: S.
        cut: How they are cut.
    """

    def __init__(
        self, store: Store, indices: Sequence[int], size: CutSize, cut: SilhouetteCut
    ) -> None:
        self._store, self._size, self._cut = store, size, cut
        self._pieces = [
            (index, first)
            for index in indices
            for first in range(0, store.sequences[index].frames, PIECE)
        ]

    def __len__(self) -> int:
        return len(self._pieces)

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        """One piece (raises ``StoreError`` where the store is damaged)."""
        index, first = self._pieces[number]
        masks, valid = self._store.read_silhouettes(index, slice(first, first + PIECE))
        # What is not valid is no person, whatever the mask holds.
        grey = (masks & valid[:, None, None]).view(np.uint8) * np.uint8(255)
        cuts, usable = cut_silhouettes(
            grey, self._size, self._cut.interpolation, self._cut.drop_sum
        )
        return torch.from_numpy(cuts), torch.from_numpy(usable)
