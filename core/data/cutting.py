"""Silhouettes of a store for silhouette models, cut or delivered, read by worker processes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from core.errors import StoreError, UsageError
from core.manifests.schema import SilhouetteCut
from core.records import STREAM_WORDS, SilhouetteKind
from core.storage.store import Store
from core.video.cut import CutSize, cut_silhouettes

# Frames of a piece: of the largest cuts 8 MB, whatever the length of the sequence.
PIECE = 512


def silhouette_shape(store: Store, size: CutSize, which: SilhouetteKind) -> tuple[int, int]:
    """(rows, columns) of a store's silhouettes.

    Args:
        store: The store.
        size: Rows that the model is set to.
        which: Which silhouettes it reads.

    Raises:
        StoreError: the store does not hold them.
        UsageError: they have another number of rows.
    """
    if which == "cut":
        require_masks(store, "to cut silhouettes from", aligned=True)
        return size, size
    if store.aligned is None:
        raise StoreError(
            "The store holds no aligned silhouettes",
            where=store.path,
            next_step="Prepare it again with --replace from a source that holds them, without "
            "`--without aligned`; or train a model with `--set model.input.silhouettes=cut`.",
        )
    if store.aligned[0] != size:
        raise UsageError(
            f"The store's aligned silhouettes have {store.aligned[0]} rows, the model is set to "
            f"{size}",
            where=store.path,
            next_step=f"Train a model with `--set model.input.size={store.aligned[0]}`, or with "
            "`--set model.input.silhouettes=cut`.",
        )
    return store.aligned


def require_masks(store: Store, purpose: str, *, aligned: bool = False) -> None:
    """Refuse a store that holds other things beside its frames, and no masks.

    Args:
        store: The store.
        purpose: What they are for, for the message.
        aligned: Whether the store's aligned silhouettes would do.

    Raises:
        StoreError: it holds none.
    """
    if store.streams and not store.info.valid:
        stream_words = " and ".join(STREAM_WORDS[name] for name in store.streams)
        other = (
            "Train a model with `--set model.input.silhouettes=aligned`, or prepare"
            if aligned and store.aligned is not None
            else "Prepare"
        )
        raise StoreError(
            f"The store holds no masks {purpose}, only {stream_words}",
            where=store.path,
            next_step=f"{other} the dataset again with --replace, without `--without silhouettes`.",
        )


def silhouette_frames(store: Store, index: int, which: SilhouetteKind) -> int:
    """Number of a sequence's silhouettes, usable or not; 0 where it was delivered without any."""
    return store.sequences[index].frames if which == "cut" else store.stream_count("aligned", index)


class SilhouettePieces(Dataset[tuple[Tensor, Tensor]]):
    """Sequences of a store in pieces of at most 512 silhouettes, in order.

    An item is silhouettes uint8 [t, rows, columns], zeros where a frame has none that is usable,
    and which frames have one, bool [t]. Delivered ones are all usable.

    Args:
        store: The store.
        indices: Numbers of the sequences.
        size: Rows.
        cut: How they are cut.
        which: Whether they are cut from masks, or were delivered.

    Raises:
        StoreError, UsageError: as :func:`silhouette_shape`.
    """

    def __init__(
        self,
        store: Store,
        indices: Sequence[int],
        size: CutSize,
        cut: SilhouetteCut,
        which: SilhouetteKind = "cut",
    ) -> None:
        self.shape = silhouette_shape(store, size, which)
        self._store, self._size, self._cut, self._which = store, size, cut, which
        self._pieces = [
            (index, first)
            for index in indices
            for first in range(0, silhouette_frames(store, index, which), PIECE)
        ]

    def __len__(self) -> int:
        return len(self._pieces)

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        """One piece (raises ``StoreError`` where the store is damaged)."""
        index, first = self._pieces[number]
        if self._which == "aligned":
            rows = self._store.read_stream("aligned", index).rows
            images = rows[first : first + PIECE].copy()
            return torch.from_numpy(images), torch.ones(len(images), dtype=torch.bool)
        masks, valid = self._store.read_silhouettes(index, slice(first, first + PIECE))
        # What is not valid is no person, whatever the mask holds.
        grey = (masks & valid[:, None, None]).view(np.uint8) * np.uint8(255)
        cuts, usable = cut_silhouettes(
            grey, self._size, self._cut.interpolation, self._cut.drop_sum
        )
        return torch.from_numpy(cuts), torch.from_numpy(usable)


class CutSequences:
    """Silhouettes of whole sequences, made when they are asked for, and kept in memory.

    For a look at few sequences of a store whose silhouettes are not kept.

    Args:
        store: The store.
        size: Rows.
        cut: How they are cut.
        which: Whether they are cut from masks, or were delivered.

    Raises:
        StoreError, UsageError: as :func:`silhouette_shape`.
    """

    def __init__(
        self, store: Store, size: CutSize, cut: SilhouetteCut, which: SilhouetteKind = "cut"
    ) -> None:
        self.shape = silhouette_shape(store, size, which)
        self._how = (store, size, cut, which)
        self._sequences: dict[int, tuple[NDArray[np.uint8], NDArray[np.bool_]]] = {}

    def usable(self, index: int) -> NDArray[np.int64]:
        """Numbers of a sequence's frames with a usable silhouette, int64, rising."""
        return np.flatnonzero(self._sequence(index)[1])

    def read(self, index: int, frames: Sequence[int] | NDArray[np.int64]) -> NDArray[np.uint8]:
        """Silhouettes uint8 [T, rows, columns] of some frames of a sequence."""
        return self._sequence(index)[0][np.asarray(frames, np.int64)]

    def _sequence(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        if index not in self._sequences:
            store, size, cut, which = self._how
            pieces = SilhouettePieces(store, [index], size, cut, which)
            parts = [pieces[number] for number in range(len(pieces))]
            none = np.zeros((0, *self.shape), np.uint8), np.zeros(0, np.bool_)
            self._sequences[index] = (
                np.concatenate([none[0], *(cuts.numpy() for cuts, _ in parts)]),
                np.concatenate([none[1], *(usable.numpy() for _, usable in parts)]),
            )
        return self._sequences[index]
