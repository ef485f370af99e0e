"""One shard: written once, read in parts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from core.errors import StoreError
from core.records import FRAME_HEIGHT, FRAME_WIDTH, SequenceFrames, SequenceKey, StreamName
from core.storage.basics import Fidelity
from core.storage.chunks import DamageError, read_packed
from core.storage.codec_names import CodecName
from core.storage.codecs import (
    CODECS,
    DEFLATE,
    FLAG_CHUNK,
    MASK_BYTES,
    MASK_CHUNK,
    Block,
    create_dataset,
    dataset,
)
from core.storage.layout import Entry
from core.storage.stream_plan import Shape
from core.storage.streams import StreamFrames, StreamReader, StreamWriter

# The file format of HDF5 1.10 has checksums on its own structures, and is the same in later ones.
HDF5_FORMAT = ("v110", "v110")
AGAIN = "Run the same `lmgait prepare` again: it makes this shard anew."
REPAIR = "Delete this file. " + AGAIN
# As many frames at a time as preparation writes: HDF5 then lays them out alike, byte for byte.
COPIED = 32


class ShardWriter:
    """Writes sequences to a new shard file, a batch of frames at a time.

    Args:
        path: The file; an existing one is overwritten.
        name: The codec.
        streams: Shapes of the rows of the streams beside the frames.
    """

    def __init__(
        self, path: Path, name: CodecName, streams: Mapping[StreamName, Shape] | None = None
    ) -> None:
        self._file: Any = h5py.File(path, "w", libver=HDF5_FORMAT, rdcc_nbytes=0)
        self._codec = CODECS[name]()
        self._codec.create(self._file)
        create_dataset(self._file, "silhouettes", (MASK_BYTES,), MASK_CHUNK, dtype="u1", **DEFLATE)
        create_dataset(self._file, "valid", (), FLAG_CHUNK, dtype="u1")
        self._streams = {
            stream: StreamWriter(self._file, stream, shape)
            for stream, shape in (streams or {}).items()
        }
        self._entries: list[Entry] = []
        self._frames, self.valid = 0, 0
        self._masks: list[NDArray[np.uint8]] = []
        self._flags: list[NDArray[np.bool_]] = []

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._write_masks()
                for stream in self._streams.values():
                    stream.write()
        finally:
            self._file.close()

    def add(self, key: SequenceKey, batches: Iterator[SequenceFrames]) -> int:
        """Write one sequence, or nothing without a batch.

        Returns:
            The number of frames written.
        """
        start = self._frames
        for batch in batches:
            self._codec.append(self._file, batch.rgb, self._frames)
            flat = batch.silhouettes.reshape(len(batch.valid), -1)
            self._masks.append(np.packbits(flat, axis=1))
            self._flags.append(batch.valid.copy())
            self._frames += len(batch.valid)
        frames = self._frames - start
        if frames:
            self._enter(key, start)
        return frames

    def add_stream(self, name: StreamName, rows: StreamFrames, joints: int | None = None) -> None:
        """Write rows of a stream of the sequence that was written last.

        Args:
            name: The stream, one of those that the shard was made for; each once a sequence.
            rows: Its rows.
            joints: Joints that delivered poses had.
        """
        self._streams[name].add(rows)
        last, count = self._entries[-1], len(rows.rows)
        if count:
            update: dict[str, Any] = {"streams": {**last.streams, name: count}}
            update = {"aligned": count} if name == "aligned" else update
            self._entries[-1] = last.model_copy(update=update | {"joints": joints or last.joints})

    def copy(self, source: ShardReader, entry: Entry, starts: Mapping[StreamName, int]) -> None:
        """Copy a sequence of a shard of the same codec without packing its frames again.

        Args:
            source: The shard.
            entry: The sequence.
            starts: Where its rows of each stream begin.

        Raises:
            StoreError: the source is damaged.
        """
        key, start = SequenceKey(entry.subject, entry.type, entry.view), self._frames
        for first in range(entry.start, entry.start + entry.frames, COPIED):
            end = min(first + COPIED, entry.start + entry.frames)
            frames, masks, valid = source.stored(first, end, key)
            self._codec.append_stored(self._file, frames, self._frames)
            self._masks.append(masks)
            self._flags.append(valid)
            self._frames += end - first
        self._enter(key, start)
        for name, count in entry.counts.items():
            rows = (starts[name], starts[name] + count)
            content = source.read_stream(name, *rows, entry.frames, key)
            self.add_stream(name, content, entry.joints if name == "pose" else None)

    def _enter(self, key: SequenceKey, start: int) -> None:
        frames = self._frames - start
        self._entries.append(Entry(**key._asdict(), start=start, frames=frames))

    def _write_masks(self) -> None:
        # At 4 KB a frame they fit into memory, and written at once no chunk is packed twice.
        masks = np.concatenate(self._masks) if self._masks else np.zeros((0, MASK_BYTES), np.uint8)
        flags = np.concatenate(self._flags) if self._flags else np.zeros(0, np.bool_)
        self.valid = int(flags.sum())
        for name, content in (("silhouettes", masks), ("valid", flags.astype(np.uint8))):
            self._file[name].resize(self._frames, axis=0)
            self._file[name][...] = content

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The sequences written so far."""
        return tuple(self._entries)

    @property
    def frames(self) -> int:
        """The number of frames written so far."""
        return self._frames

    def fidelity(self) -> Fidelity:
        """Fidelity of lossy frames."""
        return self._codec.fidelity()


class ShardReader:
    """Reads frames of a shard; the file stays open until :meth:`close`.

    Args:
        path: The file.
        name: The codec.
        frames: The number of frames that the index declares.
        streams: Row shape and count of each stream beside the frames, as the index declares them.

    Raises:
        StoreError: the file is missing, damaged, or declares anything else than the index.
    """

    def __init__(
        self,
        path: Path,
        name: CodecName,
        frames: int,
        streams: Mapping[StreamName, tuple[Shape, int]] | None = None,
    ) -> None:
        self._path, self._frames = path, frames
        self._codec = CODECS[name]()
        with self._explained(None):
            self._file: Any = h5py.File(path, "r", rdcc_nbytes=0, locking=False)
        try:
            with self._explained(None):
                self._codec.open(self._file, frames)
                self._masks: Any = dataset(
                    self._file, "silhouettes", "u1", (MASK_CHUNK, MASK_BYTES), frames, packed=True
                )
                valid = dataset(self._file, "valid", "u1", (FLAG_CHUNK,), frames)
                self._valid: NDArray[np.bool_] = valid[:].astype(np.bool_)
                self._streams = {
                    stream: StreamReader(self._file, stream, shape, total)
                    for stream, (shape, total) in (streams or {}).items()
                }
        except StoreError:
            self._file.close()
            raise

    def valid(self, first: int = 0, end: int | None = None) -> NDArray[np.bool_]:
        """Which frames have a usable silhouette, of those from ``first`` to ``end``, bool [n]."""
        return self._valid[first:end]

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def read_rgb(self, runs: Sequence[tuple[int, int]], sequence: SequenceKey, out: Block) -> None:
        """Read runs of frames without their silhouettes, one after the other.

        Args:
            runs: (first, end) of each run, counted in the shard.
            sequence: What they belong to, for messages.
            out: Is filled: uint8 [T, 256, 128, 3], contiguous, T frames of all runs together.

        Raises:
            StoreError: the content is damaged.
        """
        place = 0
        with self._explained(sequence):
            for first, end in runs:
                self._codec.read(first, out[place : place + end - first])
                place += end - first

    def read_silhouettes(
        self, runs: Sequence[tuple[int, int]], sequence: SequenceKey
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Read the silhouettes alone (arguments and errors as :meth:`read_rgb`).

        Returns:
            Silhouettes bool [T, 256, 128], and which of them are usable, bool [T].
        """
        total = sum(end - first for first, end in runs)
        packed = np.empty((total, MASK_BYTES), np.uint8)
        place = 0
        with self._explained(sequence):
            for first, end in runs:
                packed[place : place + end - first] = read_packed(self._masks, first, end)
                place += end - first
        masks = np.unpackbits(packed, axis=1).view(np.bool_)
        shape = (total, FRAME_HEIGHT, FRAME_WIDTH)
        valid = np.concatenate([self._valid[first:end] for first, end in runs] or [self._valid[:0]])
        return masks.reshape(shape), valid

    def read_stream(
        self, name: StreamName, first: int, end: int, frames: int, sequence: SequenceKey
    ) -> StreamFrames:
        """Read rows ``first`` to ``end`` of a stream, all of a sequence of ``frames`` frames.

        Raises:
            StoreError: the content is damaged.
        """
        with self._explained(sequence):
            return self._streams[name].read(first, end, frames)

    def stored(
        self, first: int, end: int, sequence: SequenceKey
    ) -> tuple[list[Block], Block, NDArray[np.bool_]]:
        """A run of frames as they lie in the file: RGB blocks, packed silhouettes, flags.

        Raises:
            StoreError: the content is damaged.
        """
        with self._explained(sequence):
            masks = read_packed(self._masks, first, end)
            return self._codec.stored(first, end), masks, self._valid[first:end]

    @contextmanager
    def _explained(self, sequence: SequenceKey | None) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise StoreError("A shard is missing", where=self._path, next_step=AGAIN) from error
        except (OSError, RuntimeError, KeyError, ValueError, TypeError, DamageError) as error:
            # HDF5 reports damage by any of these, depending on the place.
            place = "" if sequence is None else f" in sequence {sequence}"
            raise StoreError(
                f"The shard is damaged{place}: {error}", where=self._path, next_step=REPAIR
            ) from error


def file_hash(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
