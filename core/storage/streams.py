"""Streams of a shard that lie beside its frames: two HDF5 datasets each.

``aligned``, ``pose``, ``parsing``, ``flow``
    uint8 [M, ...] deflated, of poses float32 [M, 17, 3] unpacked; those of the first sequence with
    any, then those of the next.
``aligned_frames``, ``pose_frames``, ``parsing_frames``, ``flow_frames``
    int32 [M]: the frame of the sequence that shows the same moment, -1 where the store has none.

Their numbers differ from that of the frames and from each other: sources leave out what shows no
walker, and preparation leaves out what cannot be read. Rows of several streams are joined by the
numbers of their frames (:func:`core.storage.joins.joined`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from core.records import MAX_LABEL, NO_FRAME, StreamName
from core.storage.chunks import DamageError, read_packed
from core.storage.codecs import DEFLATE, FLAG_CHUNK, create_dataset, dataset
from core.storage.stream_plan import Shape

Rows = NDArray[np.uint8] | NDArray[np.float32]


class StreamFrames(NamedTuple):
    """Rows of a stream of one sequence, in time order.

    Attributes:
        rows: [M, ...] of the stream's shape. ``aligned``: uint8 grey levels, none of them empty.
            ``pose``: float32 [M, 17, 3], x and y in pixels of the source's frame and the
            confidence, finite, none of them all zeros; a joint without an estimate is all zeros.
            ``parsing``: uint8 labels 0 to 11, none of them all background. ``flow``: uint8 colours.
        numbers: int32 [M], the sequence's frame that shows the same moment, rising; -1 without one.
    """

    rows: Rows
    numbers: NDArray[np.int32]


class _Kind(NamedTuple):
    """Layout of a stream in a file: number type, rows of a chunk, deflated or not."""

    dtype: str
    chunk: int
    packed: bool


# Poses are small, and hardly smaller when packed.
_PACKED = _Kind("u1", 16, True)
_KINDS: Mapping[StreamName, _Kind] = {
    "aligned": _PACKED,
    "pose": _Kind("f4", 64, False),
    "parsing": _PACKED,
    "flow": _PACKED,
}


class StreamWriter:
    """Collects a stream of a shard; it is written at once.

    Args:
        file: The shard.
        name: The stream.
        shape: Of a row.
    """

    def __init__(self, file: h5py.File, name: StreamName, shape: Shape) -> None:
        kind = _KINDS[name]
        packing = DEFLATE if kind.packed else {}
        self._file, self._name, self._empty = file, name, np.zeros((0, *shape), kind.dtype)
        create_dataset(file, name, shape, kind.chunk, dtype=kind.dtype, **packing)
        create_dataset(file, _numbers_name(name), (), FLAG_CHUNK, dtype="i4")
        self._rows: list[Rows] = []
        self._numbers: list[NDArray[np.int32]] = []

    def add(self, content: StreamFrames) -> None:
        """Add the rows of the next sequence."""
        self._rows.append(content.rows)
        self._numbers.append(content.numbers)

    def write(self) -> None:
        """Write all of them."""
        rows = np.concatenate([self._empty, *self._rows])
        numbers = np.concatenate([np.zeros(0, np.int32), *self._numbers])
        for name, content in ((self._name, rows), (_numbers_name(self._name), numbers)):
            target = self._file[name]
            target.resize(len(content), axis=0)
            target[...] = content


class StreamReader:
    """Reads a stream of a shard.

    Args:
        file: The shard.
        name: The stream.
        shape: Of a row, as the store declares it.
        total: Number of rows that the index declares.

    Raises:
        DamageError: the file declares anything else.
    """

    def __init__(self, file: h5py.File, name: StreamName, shape: Shape, total: int) -> None:
        self._name, self._kind = name, _KINDS[name]
        chunks = (self._kind.chunk, *shape)
        self._rows = dataset(file, name, self._kind.dtype, chunks, total, packed=self._kind.packed)
        numbers = dataset(file, _numbers_name(name), "i4", (FLAG_CHUNK,), total)
        self._numbers: NDArray[np.int32] = numbers[:]

    def read(self, first: int, end: int, frames: int) -> StreamFrames:
        """Read rows ``first`` to ``end``, all of one sequence of ``frames`` frames.

        Raises:
            DamageError: rows or numbers that no preparation writes.
        """
        rows: Rows = (
            read_packed(self._rows, first, end) if self._kind.packed else self._rows[first:end]
        )
        if fault := row_fault(self._name, rows):
            raise DamageError(fault)
        numbers = self._numbers[first:end]
        present = numbers[numbers != NO_FRAME]
        outside = ((present < 0) | (present >= frames)).any()
        if outside or (np.diff(present) <= 0).any():
            raise DamageError(
                f"`{_numbers_name(self._name)}` do not rise, or name frames that are not there"
            )
        return StreamFrames(rows, numbers)


def row_fault(name: StreamName, rows: Rows) -> str | None:
    """Fault of the rows of a stream, as a message; None where they are valid."""
    # Of what is not packed a hole in the file reads as zeros, with the right checksum.
    if name != "flow" and not rows.any(tuple(range(1, rows.ndim))).all():
        return {
            "aligned": "an aligned silhouette is empty",
            "pose": "a pose is empty",
            "parsing": "a parsing is all background",
        }[name]
    if name == "pose" and not np.isfinite(rows).all():
        return "a pose holds other values than numbers"
    if name == "parsing" and rows.max(initial=0) > MAX_LABEL:
        return f"a parsing holds labels above {MAX_LABEL}"
    return None


def _numbers_name(name: StreamName) -> str:
    return f"{name}_frames"
