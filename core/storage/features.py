"""Features of the frozen image encoder on disk, so that training need not run the encoder.

::

    <folder>/
        part-00000.h5   ``plain`` and, for training with flips, ``mirrored``: float [F, N * C],
                        a frame a chunk, every chunk with its checksum
        features.json   what they were made from, which sequences each part holds; written last

Mirrored frames have features of their own: an encoder with positions does not see a mirrored frame
as the mirrored features of the frame.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import h5py
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from core.errors import StoreError
from core.files import whole_file, write_text
from core.storage.chunks import DamageError
from core.storage.codecs import create_dataset, dataset
from core.storage.layout import Sha256, read_json
from core.storage.shard import HDF5_FORMAT

INFO_NAME = "features.json"
PART_BYTES = 128 * 2**20
MAX_OPEN_FILES = 16
PLAIN, MIRRORED = "plain", "mirrored"
REPAIR = "Delete this folder; it is made again when it is needed."

Count = Annotated[int, Field(ge=1, le=10**9)]
Number = Annotated[int, Field(ge=0, le=10**9)]
FloatName = Literal["float32", "float16"]
Features = NDArray[np.float32] | NDArray[np.float16]


class FeaturesInfo(BaseModel):
    """What features were made from.

    Attributes:
        dtype: How a number is stored; float16 is half as large, and rounds.
        dataset: Name of the dataset.
        store: Fingerprint of the store.
        encoder: Fingerprint of the encoder's weights and of all else that decides its features.
        tokens: N, patches of a frame.
        channels: C of a patch.
        mirrored: Whether each frame's mirror image was encoded too.
        parts: (number of the sequence in the store, its frames) of all sequences of each part.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    format: Literal[1] = 1
    dtype: FloatName
    dataset: str
    store: Sha256
    encoder: str
    tokens: Count
    channels: Count
    mirrored: bool
    parts: tuple[tuple[tuple[Number, Count], ...], ...]

    @property
    def frames(self) -> int:
        """Frames in all parts."""
        return sum(frames for part in self.parts for _, frames in part)

    @property
    def bytes(self) -> int:
        """Size on disk, but for a few kilobytes."""
        return self.frames * frame_bytes(self.tokens, self.channels, self.mirrored, self.dtype)


@dataclass(frozen=True, slots=True)
class _Place:
    part: int
    start: int
    frames: int


class FeatureStore:
    """Features on disk, opened for reading; made by :meth:`open`.

    Like a store it may be handed to worker processes: each opens the files for itself.
    """

    def __init__(self, path: Path, info: FeaturesInfo) -> None:
        self.path, self.info = path, info
        self._places = {
            index: _Place(number, start, frames)
            for number, part in enumerate(info.parts)
            for (index, frames), start in zip(part, _starts(part), strict=True)
        }
        self._open: OrderedDict[int, h5py.File] = OrderedDict()
        self._process = os.getpid()

    @classmethod
    def open(cls, path: Path) -> FeatureStore:
        """Open complete features.

        Raises:
            StoreError: missing, not complete, damaged, or of another format.
        """
        where = path / INFO_NAME
        info = read_json(where, FeaturesInfo, REPAIR)
        return cls(path, info)

    def __contains__(self, index: int) -> bool:
        return index in self._places

    def read(
        self,
        index: int,
        frames: Sequence[int],
        *,
        mirrored: bool,
        out: Features | None = None,
    ) -> Features:
        """Features of some frames of a sequence.

        Args:
            index: Number of the sequence in the store.
            frames: Which frames, in the order wanted.
            mirrored: Of the frames' mirror images.
            out: Is filled and returned: float [T, N, C] as stored, contiguous; a new array by
                default.

        Returns:
            float [T, N, C], as stored.

        Raises:
            IndexError: no such sequence or frame.
            StoreError: missing or damaged.
        """
        place = self._places.get(index)
        if place is None or any(not 0 <= frame < place.frames for frame in frames):
            raise IndexError(f"frames {list(frames)} of sequence {index} have no features")
        info = self.info
        shape = (len(frames), info.tokens, info.channels)
        if out is None:
            out = np.empty(shape, info.dtype)
        if out.shape != shape or out.dtype != info.dtype or not out.flags.c_contiguous:
            raise ValueError(f"features {list(shape)} do not fit {out.dtype} {list(out.shape)}")
        flat = out.reshape(len(frames), -1)
        with _explained(self.path / part_name(place.part)):
            source = self._dataset(place.part, MIRRORED if mirrored else PLAIN)
            at = 0
            for first, end in _runs(frames):
                rows = np.s_[at : at + end - first]
                source.read_direct(flat, np.s_[place.start + first : place.start + end], rows)
                at += end - first
            # A hole in the file, of zeros or ones, has the right checksum.
            if not (flat.any(1) & np.isfinite(flat).all(1)).all():
                raise DamageError("a frame's features are a hole in the file")
        return out

    def close(self) -> None:
        """Close all files; they open again when needed."""
        while self._open:
            self._open.popitem()[1].close()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": OrderedDict()}

    def _dataset(self, part: int, name: str) -> Any:  # noqa: ANN401 - h5py has no types
        if self._process != os.getpid():
            # Handles that came through a fork belong to the parent: forget, don't close them.
            self._open, self._process = OrderedDict(), os.getpid()
        if part not in self._open:
            self._open[part] = h5py.File(
                self.path / part_name(part), "r", rdcc_nbytes=0, locking=False
            )
            if len(self._open) > MAX_OPEN_FILES:
                self._open.popitem(last=False)[1].close()
        self._open.move_to_end(part)
        frames = sum(count for _, count in self.info.parts[part])
        width = self.info.tokens * self.info.channels
        return dataset(self._open[part], name, self.info.dtype, (1, width), frames)


def part_name(number: int) -> str:
    """File name of a part."""
    return f"part-{number:05d}.h5"


def frame_bytes(tokens: int, channels: int, mirrored: bool, dtype: FloatName) -> int:
    """Bytes of one frame's features."""
    return tokens * channels * np.dtype(dtype).itemsize * (1 + mirrored)


def cut_parts(
    sequences: Iterable[tuple[int, int]], each: int
) -> tuple[tuple[tuple[int, int], ...], ...]:
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


def write_part(path: Path, chunks: Iterable[Mapping[str, Features]], width: int) -> None:
    """Write one part, whole or not at all.

    Args:
        path: The file.
        chunks: ``plain`` (and ``mirrored``) float [n, N * C], one after the other.
        width: N * C.

    Raises:
        OutputError: it cannot be written.
    """
    with (
        whole_file(path, parents=False) as partial,
        h5py.File(partial, "w", libver=HDF5_FORMAT, rdcc_nbytes=0) as file,
    ):
        for chunk in chunks:
            for name, values in chunk.items():
                if name not in file:
                    create_dataset(file, name, (width,), 1, dtype=values.dtype)
                kept = cast(Any, file[name])
                kept.resize(len(kept) + len(values), axis=0)
                kept[-len(values) :] = values


def write_info(folder: Path, info: FeaturesInfo) -> None:
    """Say that ``folder`` is complete (raises ``OutputError``)."""
    write_text(folder / INFO_NAME, info.model_dump_json(indent=1) + "\n")


def _starts(part: Sequence[tuple[int, int]]) -> list[int]:
    return [0, *accumulate(frames for _, frames in part)][:-1]


def _runs(frames: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Runs of frames that follow each other, in the order given."""
    first = last = frames[0]
    for frame in frames[1:]:
        if frame != last + 1:
            yield first, last + 1
            first = frame
        last = frame
    yield first, last + 1


@contextmanager
def _explained(where: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, DamageError) as error:
        # HDF5 tells damage in all of these, depending on where it stumbles.
        raise StoreError(
            f"The features are damaged: {error}", where=where, next_step=REPAIR
        ) from error
