"""Silhouettes of a store cut for silhouette models, read ahead by worker processes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
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


class CutSequences:
    """Whole sequences cut when they are asked for, and kept in memory.

    For a look at few sequences of a store whose silhouettes are not kept.

    Args:
        store: The store.
        size: S.
        cut: How they are cut.
    """

    def __init__(self, store: Store, size: CutSize, cut: SilhouetteCut) -> None:
        self._how = (store, size, cut)
        self._sequences: dict[int, tuple[NDArray[np.uint8], NDArray[np.bool_]]] = {}

    def usable(self, index: int) -> NDArray[np.int64]:
        """Numbers of a sequence's frames with a usable silhouette, int64, rising."""
        return np.flatnonzero(self._sequence(index)[1])

    def read(self, index: int, frames: Sequence[int] | NDArray[np.int64]) -> NDArray[np.uint8]:
        """Silhouettes uint8 [T, S, S] of some frames of a sequence."""
        return self._sequence(index)[0][np.asarray(frames, np.int64)]

    def _sequence(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        if index not in self._sequences:
            store, size, cut = self._how
            pieces = SilhouettePieces(store, [index], size, cut)
            parts = [pieces[number] for number in range(len(pieces))]
            self._sequences[index] = (
                np.concatenate([cuts.numpy() for cuts, _ in parts]),
                np.concatenate([usable.numpy() for _, usable in parts]),
            )
        return self._sequences[index]
