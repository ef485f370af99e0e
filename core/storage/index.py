"""Read and check a store's index, in bounded memory.

The file is taken shard by shard: as a whole, a million sequences would be two gigabytes of objects.
"""

from __future__ import annotations

import hashlib
import json
import re
from array import array
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import StoreError
from core.records import SequenceInfo, SequenceKey, StreamName
from core.storage.layout import MAX_JSON_BYTES, Entry, IndexFile, IndexShard, StoreFile, read_json
from core.storage.rows import row_counts, row_starts, row_totals, with_shapes
from core.storage.stream_plan import Shape
from core.system.files import read_bounded

_SPACE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class StreamRows:
    """Where the rows of a stream are.

    Attributes:
        start: int64 [n], the first one of each sequence in its shard.
        count: int64 [n], their number.
    """

    start: NDArray[np.int64]
    count: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ShardFacts:
    """A shard as the index lists it.

    Attributes:
        number: Its number.
        sha256: Of its file.
        bytes: Size of its file.
        frames: Number of its frames.
        streams: Shape of the rows of each stream beside the frames, and their number.
        sequences: Number of its sequences.
    """

    number: int
    sha256: str
    bytes: int
    frames: int
    streams: Mapping[StreamName, tuple[Shape, int]]
    sequences: int


@dataclass(frozen=True, slots=True)
class StoreIndex:
    """The shards and sequences of a store.

    Attributes:
        shards: In the order of their numbers.
        sequences: Sorted by key.
        shard: int64 [n], place of each sequence's shard in ``shards``.
        start: int64 [n], its first frame there.
        joints: int8 [n], how many joints its poses had before they were brought to 17.
        streams: Of each stream beside the frames, where its rows are.
    """

    shards: tuple[ShardFacts, ...]
    sequences: tuple[SequenceInfo, ...]
    shard: NDArray[np.int64]
    start: NDArray[np.int64]
    joints: NDArray[np.int8]
    streams: Mapping[StreamName, StreamRows]

    def by_shard(self) -> Iterator[tuple[ShardFacts, NDArray[np.int64]]]:
        """Each shard with the numbers of its sequences, in the order of its frames."""
        order = np.lexsort((self.start, self.shard))
        first = 0
        for shard in self.shards:
            yield shard, order[first : first + shard.sequences]
            first += shard.sequences

    def entry(self, number: int) -> Entry:
        """A sequence as its shard describes it."""
        subject, kind, view = self.sequences[number].key
        counts = {name: int(rows.count[number]) for name, rows in self.streams.items()}
        return Entry(
            subject=subject,
            type=kind,
            view=view,
            start=int(self.start[number]),
            frames=self.sequences[number].frames,
            aligned=counts.get("aligned", 0),
            streams={name: n for name, n in counts.items() if n and name != "aligned"},
            joints=int(self.joints[number]),
        )


def read_index(path: Path, info: StoreFile, next_step: str) -> StoreIndex:
    """Read and check a store's index.

    Args:
        path: The file.
        info: What the store says of itself.
        next_step: For errors.

    Raises:
        StoreError: it is missing, damaged, of another format, or says what cannot be.
    """
    reader = _Reader(info.plan.shapes)
    try:
        content = read_bounded(path, MAX_JSON_BYTES)
        digest = hashlib.sha256(content).hexdigest()
        text = content.decode("utf-8")
        del content
        form = _each_shard(text, reader.take)
    except (OSError, ValueError, RecursionError) as error:
        read_json(path, IndexFile, next_step)  # tells where in it
        raise StoreError(
            f"The file is damaged: {str(error)[:200]}", where=path, next_step=next_step
        ) from error
    if digest != info.index:
        raise StoreError("The store's index is damaged", where=path, next_step=next_step)
    index, fault = reader.index(), reader.fault
    if {info.format, form} != {info.plan.format}:
        fault = "its format is not that of the store's plan"
    if fault := fault or _fault(info, index, reader.totals):
        raise StoreError(f"The store's index is wrong: {fault}", where=path, next_step=next_step)
    return index


class _Reader:
    """Reader of shards in the order of the file.

    Args:
        shapes: Of the rows of each stream that the store declares.

    Attributes:
        fault: The first thing that cannot be, in words.
        totals: Numbers of rows of all streams that were met, declared or not.
    """

    def __init__(self, shapes: Mapping[StreamName, Shape]) -> None:
        self.fault: str | None = None
        self.totals: dict[StreamName, int] = {}
        self._shapes = shapes
        self._shards: list[ShardFacts] = []
        self._keys: list[SequenceKey] = []
        # Place of the shard, first frame, frames.
        self._columns = (array("q"), array("q"), array("q"))
        self._joints = array("b")
        # First row, rows.
        self._rows = {name: (array("q"), array("q")) for name in shapes}

    def take(self, shard: IndexShard) -> None:
        """Remember a shard, and the first thing in it that cannot be."""
        if self._shards and shard.number <= self._shards[-1].number:
            self._note("shards are out of order")
        entries = shard.sequences
        frames = [entry.frames for entry in entries]
        *starts, end = accumulate(frames, initial=0)
        for entry, start in zip(entries, starts, strict=True):
            if entry.start != start:
                name = f"{entry.subject}/{entry.type}/{entry.view}"
                self._note(f"{name} starts at the wrong frame")
        if end != shard.frames:
            self._note(f"shard {shard.number} has another number of frames than its sequences")
        self._keys += [SequenceKey(entry.subject, entry.type, entry.view) for entry in entries]
        places = [len(self._shards)] * len(entries)
        for column, values in zip(self._columns, (places, starts, frames), strict=True):
            column.extend(values)
        self._joints.extend([entry.joints for entry in entries])
        counts = row_counts(entries)
        totals = row_totals(counts)
        self.totals = row_totals((self.totals, totals))
        for stream, (first, number) in self._rows.items():
            first.extend(row_starts(counts, stream))
            number.extend([count.get(stream, 0) for count in counts])
        streams = with_shapes(totals, self._shapes)
        self._shards.append(
            ShardFacts(shard.number, shard.sha256, shard.bytes, shard.frames, streams, len(entries))
        )

    def _note(self, fault: str) -> None:
        self.fault = self.fault or fault

    def index(self) -> StoreIndex:
        """Everything read, the sequences sorted."""
        keys = self._keys
        order = sorted(range(len(keys)), key=keys.__getitem__)
        numbers = np.array(order, np.int64)
        place, start, frames = (_sorted(column, numbers) for column in self._columns)
        sequences = tuple(
            SequenceInfo(keys[number], count)
            for number, count in zip(order, frames.tolist(), strict=True)
        )
        joints = np.array(self._joints, np.int8)[numbers]
        streams = {
            name: StreamRows(*(_sorted(column, numbers) for column in columns))
            for name, columns in self._rows.items()
        }
        return StoreIndex(tuple(self._shards), sequences, place, start, joints, streams)


def _sorted(column: array[int], order: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.array(column, np.int64)[order]


def _fault(info: StoreFile, index: StoreIndex, totals: Mapping[StreamName, int]) -> str | None:
    """Contradiction between the index and the store's counts, as a message."""
    twice = any(one.key == other.key for one, other in pairwise(index.sequences))
    if twice or len(index.sequences) != info.sequences:
        return "the number of sequences differs"
    if totals != info.counts or not totals.keys() <= info.plan.shapes.keys():
        different = sorted({name for name, _ in totals.items() ^ info.counts.items()} or totals)
        what = "aligned silhouettes" if different == ["aligned"] else f"{different[0]} rows"
        return f"the number of {what} differs"
    return None


def _each_shard(text: str, take: Callable[[IndexShard], None]) -> int:
    """Hand each shard of an index to ``take``; returns the index's format.

    Raises:
        ValueError: it is not JSON, or not an index.
    """
    others: dict[str, Any] = {}
    at, sign = _token(text, 0)
    if sign != "{":
        raise ValueError("it is not an object")
    while sign != "}":
        at = _SPACE.match(text, at).end()  # type: ignore[union-attr] # matches anywhere
        key, at = _DECODER.raw_decode(text, at)
        at, colon = _token(text, at)
        if not isinstance(key, str) or colon != ":" or key in others:
            raise ValueError("a key is wrong, or there twice")
        at = _SPACE.match(text, at).end()  # type: ignore[union-attr]
        if key == "shards" and text.startswith("[", at):
            others[key] = []
            at = _elements(text, at, take)
        else:
            others[key], at = _DECODER.raw_decode(text, at)
        at, sign = _token(text, at)
        if sign not in (",", "}"):
            raise ValueError("keys are not parted")
    if text[at:].strip(" \t\n\r"):
        raise ValueError("something follows the index")
    return IndexFile.model_validate_json(json.dumps(others)).format


def _elements(text: str, at: int, take: Callable[[IndexShard], None]) -> int:
    """Hand each shard of an array, which begins at ``at``, to ``take``; returns where it ends."""
    end, sign = _token(text, at + 1)
    if sign == "]":
        return end
    at += 1
    while sign != "]":
        at = _SPACE.match(text, at).end()  # type: ignore[union-attr]
        _, end = _DECODER.raw_decode(text, at)
        take(IndexShard.model_validate_json(text[at:end]))
        at, sign = _token(text, end)
        if sign not in (",", "]"):
            raise ValueError("shards are not parted")
    return at


def _token(text: str, at: int) -> tuple[int, str]:
    """The sign behind the space at ``at``, and where it ends."""
    at = _SPACE.match(text, at).end()  # type: ignore[union-attr]
    return at + 1, text[at : at + 1]
