"""A prepared dataset, opened for reading."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import StoreError
from core.records import STREAM_WORDS, SequenceFrames, SequenceKey, StreamName
from core.storage.codecs import FRAME_SHAPE
from core.storage.index import StoreIndex, read_index
from core.storage.layout import (
    FORGET_AGAIN,
    FORGETTING_NAME,
    INDEX_NAME,
    PLAN_NAME,
    READING,
    STORE_NAME,
    StoreFile,
    read_json,
    shard_name,
)
from core.storage.ranges import frame_numbers, in_order, runs_of
from core.storage.rows import stream_lines
from core.storage.shard import ShardReader
from core.storage.stream_plan import Shape
from core.storage.streams import StreamFrames
from core.workspace import Workspace

MAX_OPEN_FILES = 16


class Store:
    """A complete store; made by :meth:`open`.

    Files are opened when they are first read, at most 16 at a time, and by each process for itself:
    a store may be handed to worker processes, forked or spawned.

    Attributes:
        path: Its folder.
        info: Facts on it: counts, form of the source, codec, version of lmgait.
        index: Its shards with their hashes, and where in them which sequence is.
        sequences: Its sequences, sorted by key.
    """

    def __init__(self, path: Path, info: StoreFile, index: StoreIndex) -> None:
        self.path, self.info, self.index = path, info, index
        self.sequences = index.sequences
        self._open: OrderedDict[int, ShardReader] = OrderedDict()
        self._process = os.getpid()

    @classmethod
    def open(cls, path: Path) -> Store:
        """Open the store in ``path``.

        Raises:
            StoreError: it is missing, not complete, damaged, or of another format.
        """
        path = Path(path)
        info_path = path / STORE_NAME
        if not info_path.is_file() or (path / FORGETTING_NAME).is_file():
            raise _not_there(path)
        step = "Prepare it again with --replace."
        info = read_json(info_path, StoreFile, step)
        index = read_index(path / INDEX_NAME, info, step)
        return cls(path, info, index)

    def __len__(self) -> int:
        return len(self.sequences)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the index, which holds the hashes of all shards."""
        return self.info.index

    @property
    def aligned(self) -> tuple[int, int] | None:
        """(rows, columns) of its aligned silhouettes; None without any."""
        return self.info.plan.aligned

    @property
    def streams(self) -> dict[StreamName, Shape]:
        """The streams beside the frames, by name, with the shapes of their rows."""
        return self.info.plan.shapes

    def stream_count(self, name: StreamName, index: int) -> int:
        """Number of a sequence's rows of a stream; 0 of an absent one.

        Raises:
            IndexError: it holds the stream, but no such sequence.
        """
        rows = self.index.streams.get(name)
        return 0 if rows is None else int(rows.count[index])

    @property
    def has_rgb(self) -> bool:
        """Whether it contains RGB frames."""
        return self.info.plan.codec != "none"

    def require_rgb(self) -> None:
        """Refuse a store without RGB.

        Raises:
            StoreError: it holds silhouettes alone.
        """
        if not self.has_rgb:
            stream_words = ["silhouettes"] if self.info.valid or self.aligned is not None else []
            stream_words += [STREAM_WORDS[name] for name in self.streams if name != "aligned"]
            raise StoreError(
                f"The store holds {' and '.join(stream_words)} without RGB frames",
                where=self.path,
                next_step="Use a model on silhouettes (--model gaitbase); or prepare it again with "
                "--replace, without `--without rgb`, from a source that holds the frames.",
            )

    def describe(self) -> str:
        """Return one line below a table: the store's source and preparation."""
        info, plan = self.info, self.info.plan
        cut = "person crops" if plan.framing == "crop" else "scenes cut by the silhouette's box"
        loss = "" if info.psnr is None else f" at {info.psnr:.1f} dB"
        less = " less forgotten subjects" if plan.reduced else ""
        rules = f", reading rules {plan.reading}" if plan.reading != READING else ""
        codec = "without RGB" if plan.codec == "none" else plan.codec
        streams = "".join(f", {line}" for line in stream_lines(info))
        return (
            f"{plan.dataset}: {plan.label}{less}; {cut}, fitted to {plan.height}x{plan.width}; "
            f"{codec}{loss}; {info.sequences:,} sequences, {info.frames:,} frames{streams}; "
            f"lmgait {plan.tool}{rules}; {self.fingerprint[:12]}"
        )

    def read(self, index: int, frames: slice | Sequence[int] | None = None) -> SequenceFrames:
        """Read a sequence, or some of its frames; nothing else is decoded.

        Args:
            index: Position in :attr:`sequences`.
            frames: Which frames, in the order wanted; all of them by default.

        Raises:
            IndexError: there is no such sequence or frame.
            StoreError: the shard is missing or damaged, or the store holds no RGB.
        """
        return SequenceFrames(self.read_rgb(index, frames), *self.read_silhouettes(index, frames))

    def read_rgb(
        self,
        index: int,
        frames: slice | Sequence[int] | None = None,
        out: NDArray[np.uint8] | None = None,
    ) -> NDArray[np.uint8]:
        """Read frames without their silhouettes (arguments and errors as :meth:`read`).

        Args:
            index: Position in :attr:`sequences`.
            frames: Which frames.
            out: Is filled and returned: uint8 [T, 256, 128, 3], contiguous; a new array by default.
        """
        self.require_rgb()
        reader, runs, order, key = self._runs(index, frames)
        count = sum(end - first for first, end in runs)
        total = count if order is None else len(order)
        if out is None:
            out = np.empty((total, *FRAME_SHAPE), np.uint8)
        fits = out.shape == (total, *FRAME_SHAPE) and out.dtype == np.uint8
        if not fits or not out.flags.c_contiguous:
            raise ValueError(f"{total} frames do not fit {out.dtype} {list(out.shape)}")
        if order is None:
            reader.read_rgb(runs, key, out)
        else:
            distinct = np.empty((count, *FRAME_SHAPE), np.uint8)
            reader.read_rgb(runs, key, distinct)
            np.take(distinct, order, axis=0, out=out, mode="clip")  # `raise` copies once more
        return out

    def read_silhouettes(
        self, index: int, frames: slice | Sequence[int] | None = None
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Read silhouettes without their frames (arguments and errors as :meth:`read`).

        Returns:
            Silhouettes bool [T, 256, 128], and which of them are usable, bool [T].
        """
        reader, runs, order, key = self._runs(index, frames)
        masks, valid = reader.read_silhouettes(runs, key)
        return (masks, valid) if order is None else (masks[order], valid[order])

    def usable_silhouettes(self, index: int) -> NDArray[np.int64]:
        """Numbers int64 of a sequence's frames with a usable silhouette (raises as `read`)."""
        start, frames = int(self.index.start[index]), self.sequences[index].frames
        reader = self._reader(int(self.index.shard[index]))
        return np.flatnonzero(reader.valid(start, start + frames))

    def require_stream(self, name: StreamName) -> None:
        """Refuse a store without a stream.

        Raises:
            StoreError: it does not hold it.
        """
        if name not in self.streams:
            option = f"from a source that holds them, without `--without {name}`"
            if name == "flow":
                option = "and --flow, which computes it from the frames"
            raise StoreError(
                f"The store holds no {STREAM_WORDS[name]}",
                where=self.path,
                next_step=f"Prepare it again with --replace {option}.",
            )

    def read_stream(self, name: StreamName, index: int) -> StreamFrames:
        """Read all rows of a stream of a sequence.

        Raises:
            IndexError: there is no such sequence.
            StoreError: the shard is missing or damaged, or the store holds no such stream.
        """
        self.require_stream(name)
        info = self.sequences[index]
        rows, reader = self.index.streams[name], self._reader(int(self.index.shard[index]))
        start = int(rows.start[index])
        return reader.read_stream(
            name, start, start + int(rows.count[index]), info.frames, info.key
        )

    def _runs(
        self, index: int, frames: slice | Sequence[int] | None
    ) -> tuple[ShardReader, list[tuple[int, int]], list[int] | None, SequenceKey]:
        """Where frames are: reader, runs in its shard, and their order (None: as they lie)."""
        info = self.sequences[index]
        shard, start = int(self.index.shard[index]), int(self.index.start[index])
        numbers = frame_numbers(frames, info.frames)
        runs = runs_of(numbers)
        order = None
        if sum(end - first for first, end in runs) != len(numbers) or not in_order(numbers):
            place = {frame: position for position, frame in enumerate(sorted(set(numbers)))}
            order = [place[frame] for frame in numbers]
        moved = [(start + first, start + end) for first, end in runs]
        return self._reader(shard), moved, order, info.key

    def close(self) -> None:
        """Close all files; they open again when needed."""
        while self._open:
            self._open.popitem()[1].close()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": OrderedDict()}

    def _reader(self, shard: int) -> ShardReader:
        if self._process != os.getpid():
            # Handles that came through a fork belong to the parent: forget, don't close them.
            self._open, self._process = OrderedDict(), os.getpid()
        reader = self._open.get(shard)
        if reader is None:
            facts = self.index.shards[shard]
            path = self.path / shard_name(facts.number)
            reader = ShardReader(path, self.info.plan.codec, facts.frames, facts.streams)
            self._open[shard] = reader
            if len(self._open) > MAX_OPEN_FILES:
                self._open.popitem(last=False)[1].close()
        self._open.move_to_end(shard)
        return reader


def locate_store(name_or_path: str | Path, workspace: Workspace) -> Path:
    """Folder of a store that is named by its folder, or by its dataset in the workspace."""
    path = Path(name_or_path).expanduser()
    if isinstance(name_or_path, Path) or len(path.parts) != 1 or path.is_dir():
        return path.absolute()
    return workspace.store(str(name_or_path))


def _not_there(path: Path) -> StoreError:
    command = f"lmgait prepare {path.name} FOLDER"
    if (path / FORGETTING_NAME).is_file():
        return StoreError("A subject is being forgotten here", where=path, next_step=FORGET_AGAIN)
    if (path / PLAN_NAME).is_file():
        return StoreError(
            "The store is not complete",
            where=path,
            next_step=f"Run the same `{command}` again: it resumes where it stopped.",
        )
    return StoreError("There is no store here", where=path, next_step=f"Run `{command}` first.")
