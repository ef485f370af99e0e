"""Rows computed from a store's frames, in HDF5 files of about 128 MB.

What is slow to make of frames (features of an encoder, cut silhouettes) is kept beside the store.
A folder holds ``part-00000.h5`` and so on, and a JSON file, written last, that says which sequences
each part holds. A row belongs to a frame of the store and has its number.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Annotated, Any, cast

import h5py
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from core.errors import StoreError
from core.storage.chunks import DamageError, read_packed
from core.storage.codecs import DEFLATE, create_dataset, dataset
from core.storage.shard import HDF5_FORMAT
from core.system.files import whole_file

PART_BYTES = 128 * 2**20
MAX_OPEN_FILES = 16
REPAIR = "Delete this folder; it is made again when it is needed."

Count = Annotated[int, Field(ge=1, le=10**9)]
Number = Annotated[int, Field(ge=0, le=10**9)]
# (number of the sequence in the store, its frames) of all sequences of each part.
Parts = tuple[tuple[tuple[Number, Count], ...], ...]
Rows = NDArray[np.float32] | NDArray[np.float16] | NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Layout:
    """Layout of a dataset of a part in its file.

    Attributes:
        shape: Shape of a row.
        dtype: Type of its numbers.
        chunk: Rows of a chunk: what is read at least.
        packed: Whether chunks are deflated.
    """

    shape: tuple[int, ...]
    dtype: str
    chunk: int = 1
    packed: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sequence is: rows ``start`` to ``start + frames`` of a part."""

    part: int
    start: int
    frames: int


class PartFiles:
    """The parts of a folder, opened at their first reading, by each process for itself.

    Args:
        path: The folder.
        parts: What each part holds.
        what: Its word in messages, such as ``features``.
    """

    def __init__(self, path: Path, parts: Parts, what: str) -> None:
        self.path, self._parts, self._what = path, parts, what
        self._places = {
            index: Place(number, start, frames)
            for number, part in enumerate(parts)
            for (index, frames), start in zip(part, _starts(part), strict=True)
        }
        self._open: OrderedDict[int, tuple[h5py.File, dict[str, Any]]] = OrderedDict()
        self._process = os.getpid()

    def __contains__(self, index: int) -> bool:
        return index in self._places

    def place(self, index: int, frames: Sequence[int]) -> Place:
        """Where a sequence is.

        Raises:
            IndexError: it is not here, or has not all of ``frames``.
        """
        place = self._places.get(index)
        if place is None or any(not 0 <= frame < place.frames for frame in frames):
            raise IndexError(f"frames {list(frames)} of sequence {index} have no {self._what}")
        return place

    @contextmanager
    def dataset(self, part: int, name: str, layout: Layout) -> Iterator[Any]:
        """A dataset of a part, checked against its declaration.

        Raises:
            StoreError: it is missing or damaged; so is what the block finds to be so.
        """
        where = self.path / part_name(part)
        try:
            file, datasets = self._file(part)
            if name not in datasets:
                frames = sum(count for _, count in self._parts[part])
                chunks = (layout.chunk, *layout.shape)
                datasets[name] = dataset(
                    file, name, layout.dtype, chunks, frames, packed=layout.packed
                )
            yield datasets[name]
        except (OSError, RuntimeError, KeyError, ValueError, TypeError, DamageError) as error:
            # HDF5 tells damage in all of these, depending on where it stumbles.
            raise StoreError(
                f"The {self._what} are damaged: {error}", where=where, next_step=REPAIR
            ) from error

    def close(self) -> None:
        """Close all files; they open again when needed."""
        while self._open:
            self._open.popitem()[1][0].close()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": OrderedDict()}

    def _file(self, part: int) -> tuple[h5py.File, dict[str, Any]]:
        if self._process != os.getpid():
            # Handles that came through a fork belong to the parent: forget, don't close them.
            self._open, self._process = OrderedDict(), os.getpid()
        if part not in self._open:
            path = self.path / part_name(part)
            self._open[part] = h5py.File(path, "r", rdcc_nbytes=0, locking=False), {}
            if len(self._open) > MAX_OPEN_FILES:
                self._open.popitem(last=False)[1][0].close()
        self._open.move_to_end(part)
        return self._open[part]


def read_rows(source: Any, start: int, frames: Sequence[int], out: Rows) -> None:  # noqa: ANN401
    """Fill ``out`` [T, W] with rows of a dataset, in the order requested, run by run."""
    at = 0
    for first, end in runs(frames):
        source.read_direct(out, np.s_[start + first : start + end], np.s_[at : at + end - first])
        at += end - first


def read_packed_rows(source: Any, rows: NDArray[np.int64]) -> NDArray[np.uint8]:  # noqa: ANN401
    """Rows of a deflated dataset of bytes, in the order requested; each chunk is unpacked once.

    Raises:
        DamageError: as :func:`core.storage.chunks.read_packed`.
    """
    each = int(source.chunks[0])
    chunks, places = np.unique(rows // each, return_inverse=True)
    parts = [read_packed(source, first * each, end * each) for first, end in runs(chunks.tolist())]
    content = np.concatenate(parts or [np.empty((0, *source.shape[1:]), np.uint8)])
    return np.asarray(content[places * each + rows % each], np.uint8)


def part_name(number: int) -> str:
    """File name of a part."""
    return f"part-{number:05d}.h5"


def cut_parts(sequences: Iterable[tuple[int, int]], each: int) -> Parts:
    """Cut (sequence, frames) into parts of about 128 MB with ``each`` bytes a frame."""
    parts: list[list[tuple[int, int]]] = [[]]
    filled = 0
    for index, frames in sequences:
        if parts[-1] and filled + frames * each > PART_BYTES:
            parts.append([])
            filled = 0
        parts[-1].append((index, frames))
        filled += frames * each
    return tuple(tuple(part) for part in parts)


def write_part(
    path: Path, chunks: Iterable[Mapping[str, Rows]], layouts: Mapping[str, Layout]
) -> None:
    """Write one part, whole or not at all.

    Args:
        path: The file.
        chunks: Rows [n, ...] of each dataset, one after the other; n is a multiple of the rows of
            a chunk, but for the last ones.
        layouts: How each dataset lies.

    Raises:
        OutputError: it cannot be written.
    """
    with (
        whole_file(path, parents=False) as partial,
        h5py.File(partial, "w", libver=HDF5_FORMAT, rdcc_nbytes=0) as file,
    ):
        for name, layout in layouts.items():
            packing = DEFLATE if layout.packed else {}
            create_dataset(file, name, layout.shape, layout.chunk, dtype=layout.dtype, **packing)
        for chunk in chunks:
            for name, values in chunk.items():
                target = cast(Any, file[name])
                target.resize(len(target) + len(values), axis=0)
                target[len(target) - len(values) :] = values


def runs(frames: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Runs (first, end) of frames that follow each other, in the order requested."""
    if not len(frames):
        return
    first = last = frames[0]
    for frame in frames[1:]:
        if frame != last + 1:
            yield first, last + 1
            first = frame
        last = frame
    yield first, last + 1


def _starts(part: Sequence[tuple[int, int]]) -> list[int]:
    return [0, *accumulate(frames for _, frames in part)][:-1]
