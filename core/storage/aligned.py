"""Silhouettes that the dataset's authors cut, in a shard: two HDF5 datasets.

``aligned``
    uint8 [M, rows, columns], grey levels as delivered, deflated; those of the first sequence with
    any, then those of the next.
``aligned_frames``
    int32 [M]: the frame of the sequence that shows the same moment, -1 where the store has none.

Their number differs from that of the frames: authors leave out silhouettes that show no walker, and
preparation leaves out frames that cannot be read.
"""

from __future__ import annotations

from typing import NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from core.storage.chunks import DamageError, read_packed
from core.storage.codecs import DEFLATE, FLAG_CHUNK, create_dataset, dataset

IMAGES, NUMBERS = "aligned", "aligned_frames"
CHUNK = 16
NO_FRAME = -1


class AlignedFrames(NamedTuple):
    """Delivered silhouettes of one sequence, in time order.

    Attributes:
        images: uint8 [M, rows, columns], grey levels; none is empty.
        numbers: int32 [M], the sequence's frame that shows the same moment, rising; -1 without one.
    """

    images: NDArray[np.uint8]
    numbers: NDArray[np.int32]


class AlignedWriter:
    """Collects the delivered silhouettes of a shard; they are written at once.

    Args:
        file: The shard.
        size: (rows, columns) of all of them.
    """

    def __init__(self, file: h5py.File, size: tuple[int, int]) -> None:
        self._file, self._size = file, size
        create_dataset(file, IMAGES, size, CHUNK, dtype="u1", **DEFLATE)
        create_dataset(file, NUMBERS, (), FLAG_CHUNK, dtype="i4")
        self._images: list[NDArray[np.uint8]] = []
        self._numbers: list[NDArray[np.int32]] = []

    def add(self, content: AlignedFrames) -> None:
        """Add those of the next sequence."""
        self._images.append(content.images)
        self._numbers.append(content.numbers)

    def write(self) -> None:
        """Write all of them."""
        images = np.concatenate([np.zeros((0, *self._size), np.uint8), *self._images])
        numbers = np.concatenate([np.zeros(0, np.int32), *self._numbers])
        for name, content in ((IMAGES, images), (NUMBERS, numbers)):
            target = self._file[name]
            target.resize(len(content), axis=0)
            target[...] = content


class AlignedReader:
    """Reads the delivered silhouettes of a shard.

    Args:
        file: The shard.
        size: (rows, columns) that the store declares.
        total: Number of them that the index declares.

    Raises:
        DamageError: the file declares anything else.
    """

    def __init__(self, file: h5py.File, size: tuple[int, int], total: int) -> None:
        self._images = dataset(file, IMAGES, "u1", (CHUNK, *size), total, packed=True)
        self._numbers: NDArray[np.int32] = dataset(file, NUMBERS, "i4", (FLAG_CHUNK,), total)[:]

    def read(self, first: int, end: int, frames: int) -> AlignedFrames:
        """Read rows ``first`` to ``end``, all of one sequence of ``frames`` frames.

        Raises:
            DamageError: an empty silhouette, or numbers that cannot be.
        """
        images, numbers = read_packed(self._images, first, end), self._numbers[first:end]
        present = numbers[numbers != NO_FRAME]
        if not images.any((1, 2)).all():
            raise DamageError("an aligned silhouette is empty")
        outside = ((present < 0) | (present >= frames)).any()
        if outside or (np.diff(present) <= 0).any():
            raise DamageError("`aligned_frames` do not rise, or name frames that are not there")
        return AlignedFrames(images, numbers)
