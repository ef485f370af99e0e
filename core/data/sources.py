"""Row sources of inputs of models without an image encoder.

A row is a frame, a silhouette, a pose, a skeleton map, a parsing or an image of flow. Each input of
a sequence has rows of its own; :class:`Inputs` joins those that show the same frames.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from core.data.cutting import require_masks
from core.inputs import Input
from core.records import FRAME_HEIGHT, FRAME_WIDTH, POSE_SHAPE, SilhouetteKind, StreamName
from core.storage.joins import joined
from core.storage.store import Store
from core.video.cut import CutSize

Rows = NDArray[Any]
Numbers = Sequence[int] | NDArray[np.int64]

# Streams of a store that are inputs as they are.
STORED: Mapping[Input, StreamName] = {"poses": "pose", "parsing": "parsing", "flow": "flow"}


class RowSource(Protocol):
    """Rows of one input of all sequences of a store."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a row."""

    def usable(self, index: int) -> NDArray[np.int64]:
        """Numbers of a sequence's rows that can be used, int64, rising."""

    def read(self, index: int, rows: Numbers) -> Rows:
        """Some of a sequence's usable rows [T, ...], in the order requested."""


class StoredRows:
    """Rows of a stream as the store has them: poses, parsing or flow.

    Args:
        store: The store.
        name: The input.

    Raises:
        StoreError: the store does not hold the stream.
    """

    def __init__(self, store: Store, name: Input) -> None:
        self._store, self._stream = store, STORED[name]
        store.require_stream(self._stream)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a row: [17, 3] of poses."""
        return self._store.streams[self._stream]

    def usable(self, index: int) -> NDArray[np.int64]:
        """All rows of a sequence."""
        return np.arange(self._store.stream_count(self._stream, index), dtype=np.int64)

    def read(self, index: int, rows: Numbers) -> Rows:
        """Rows [T, ...], of poses float32, else uint8 (raises ``StoreError``)."""
        return self._store.read_stream(self._stream, index).rows[np.asarray(rows, np.int64)]


class StoredFrames:
    """RGB frames as the store has them.

    Args:
        store: The store.

    Raises:
        StoreError: the store holds none.
    """

    shape = (FRAME_HEIGHT, FRAME_WIDTH, 3)

    def __init__(self, store: Store) -> None:
        store.require_rgb()
        self._store = store

    def usable(self, index: int) -> NDArray[np.int64]:
        """All frames of a sequence."""
        return np.arange(self._store.sequences[index].frames, dtype=np.int64)

    def read(self, index: int, rows: Numbers) -> Rows:
        """Frames uint8 [T, 256, 128, 3] (raises ``StoreError``)."""
        return self._store.read_rgb(index, np.asarray(rows, np.int64).tolist())


class StoredMasks:
    """Silhouettes as the store has them, in the geometry of its frames.

    Args:
        store: The store.

    Raises:
        StoreError: the store holds none.
    """

    shape = (FRAME_HEIGHT, FRAME_WIDTH)

    def __init__(self, store: Store) -> None:
        require_masks(store, "beside its frames")
        self._store = store

    def usable(self, index: int) -> NDArray[np.int64]:
        """Numbers of a sequence's frames with a usable silhouette, int64, rising."""
        return self._store.usable_silhouettes(index)

    def read(self, index: int, rows: Numbers) -> Rows:
        """Silhouettes uint8 [T, 256, 128] of 0 and 255 (raises ``StoreError``)."""
        numbers = np.asarray(rows, np.int64).tolist()
        masks, _ = self._store.read_silhouettes(index, numbers)
        return masks.view(np.uint8) * np.uint8(255)


@dataclass(frozen=True, slots=True)
class MapDrawing:
    """Drawing of skeleton maps.

    Attributes:
        draw: A function of a module (worker processes get it by its name): from the poses float32
            [T, 17, 3] of a whole sequence to maps uint8 [T, 2, size, size]; a pose of which none
            can be drawn gives zeros.
        rules: A number that rises when the same poses give other maps: maps that were kept before
            are drawn anew.
        size: Rows and columns of a map.
    """

    draw: Callable[[NDArray[np.float32]], NDArray[np.uint8]]
    rules: int
    size: CutSize = 64

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of a map."""
        return (2, self.size, self.size)

    def of(self, store: Store, index: int) -> NDArray[np.uint8]:
        """Maps uint8 [M, 2, size, size] of all poses of a sequence; none without poses.

        Raises:
            StoreError: the store is damaged, or holds no poses.
        """
        poses = np.asarray(store.read_stream("pose", index).rows, np.float32)
        if not len(poses):
            return np.zeros((0, *self.shape), np.uint8)
        maps = self.draw(poses.reshape(-1, *POSE_SHAPE))
        if maps.shape != (len(poses), *self.shape) or maps.dtype != np.uint8:
            raise ValueError(f"maps {maps.dtype} {list(maps.shape)} of {len(poses)} poses")
        return maps


class DrawnMaps:
    """Skeleton maps of whole sequences, drawn when they are asked for, and kept in memory.

    Args:
        store: The store.
        drawing: How they are drawn.

    Raises:
        StoreError: the store holds no poses.
    """

    def __init__(self, store: Store, drawing: MapDrawing) -> None:
        store.require_stream("pose")
        self._store, self._drawing = store, drawing
        self._sequences: dict[int, NDArray[np.uint8]] = {}

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a map."""
        return self._drawing.shape

    def usable(self, index: int) -> NDArray[np.int64]:
        """Numbers of a sequence's maps that are not empty, int64, rising."""
        return np.flatnonzero(self._sequence(index).any((1, 2, 3)))

    def read(self, index: int, rows: Numbers) -> Rows:
        """Maps uint8 [T, 2, size, size]."""
        return self._sequence(index)[np.asarray(rows, np.int64)]

    def _sequence(self, index: int) -> NDArray[np.uint8]:
        if index not in self._sequences:
            self._sequences[index] = self._drawing.of(self._store, index)
        return self._sequences[index]


class MapPieces(Dataset[tuple[Tensor, Tensor]]):
    """Skeleton maps of whole sequences, as they are kept.

    An item is maps uint8 [n, 2, size, size], zeros where none can be drawn, and which are not
    empty, bool [n].

    Args:
        store: The store.
        indices: Numbers of the sequences.
        drawing: How they are drawn.
    """

    def __init__(self, store: Store, indices: Sequence[int], drawing: MapDrawing) -> None:
        self._store, self._indices, self._drawing = store, list(indices), drawing

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        """One sequence (raises ``StoreError`` where the store is damaged)."""
        maps = self._drawing.of(self._store, self._indices[number])
        return torch.from_numpy(maps), torch.from_numpy(maps.any((1, 2, 3)))


class Inputs:
    """The inputs of a model, joined by the frames that their rows show.

    With one input all its usable rows count; with several, those of frames that all of them have.

    Args:
        store: The store.
        sources: Rows of each input, at least of one.
        silhouettes: Which silhouettes ``silhouettes`` are.
    """

    def __init__(
        self,
        store: Store,
        sources: Mapping[Input, RowSource],
        silhouettes: SilhouetteKind = "cut",
    ) -> None:
        self.store, self.sources, self._silhouettes = store, dict(sources), silhouettes

    def rows(self, index: int) -> dict[Input, NDArray[np.int64]]:
        """Rows int64 [n] of each input of a sequence; row i of all of them shows one frame."""
        usable = {name: source.usable(index) for name, source in self.sources.items()}
        if len(usable) == 1:
            return usable
        places = joined(self._frames(name, index)[rows] for name, rows in usable.items())
        return {
            name: rows[place] for (name, rows), place in zip(usable.items(), places, strict=True)
        }

    def count(self, index: int) -> int:
        """Number of a sequence's rows that can be used."""
        return len(next(iter(self.rows(index).values())))

    def _frames(self, name: Input, index: int) -> NDArray[np.integer]:
        """The frame of each row of an input, usable or not; -1 without one."""
        if name in ("rgb", "masks") or (name == "silhouettes" and self._silhouettes == "cut"):
            return np.arange(self.store.sequences[index].frames)
        stream: StreamName = "aligned" if name == "silhouettes" else STORED.get(name, "pose")
        return self.store.read_stream(stream, index).numbers
