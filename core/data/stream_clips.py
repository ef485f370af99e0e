"""Clips and whole sequences for models without an image encoder: silhouettes, poses and others."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from core.data.augment import DRAWS, Augmentation, Draw, augment, cut_sides, draw
from core.data.clips import FrameChoice
from core.data.dataset import ClipBatch
from core.data.loading import empty, read_ahead
from core.data.sampler import ClipRequest
from core.data.sources import Inputs
from core.errors import DataError
from core.inputs import Input
from core.storage.store import Store
from core.storage.subjects import no_subject_error, sequences_of

# Changes a training clip of poses float32 [T, 17, 3]; all that is random comes from the generator.
PoseChange = Callable[[NDArray[np.float32], np.random.Generator], NDArray[np.float32]]

# Labels of a parsing (see core.records.MAX_LABEL) with left and right exchanged.
MIRRORED_LABELS = np.array([0, 1, 2, 4, 3, 6, 5, 8, 7, 10, 9, 11], np.uint8)
# Inputs whose sides are not cut off.
_UNCUT: frozenset[Input] = frozenset({"rgb", "masks", "poses"})
# What a model that embeds reads of some frames: its input, or each of several.
Chunk = Tensor | dict[Input, Tensor]
_FIELDS: Mapping[Input, str] = {
    "rgb": "frames",
    "masks": "silhouettes",
    "silhouettes": "silhouettes",
    "poses": "poses",
    "skeleton maps": "maps",
    "parsing": "parsing",
    "flow": "flow",
}


class StreamClips(Dataset[ClipBatch]):
    """Clips of the training subjects, augmented, a whole batch an item.

    Frames that lack one of the inputs are left out. One draw changes all images of a clip; labels
    take the nearest pixel, and left and right change places where the clip is mirrored. The colours
    of mirrored flow stay as they are, as published models are trained.

    Args:
        inputs: What the clips are taken from.
        subjects: Training subjects; class numbers follow their order.
        frames: T.
        choice: Which frames make a clip.
        augmentation: How likely each change of images is.
        change: Changes poses; None leaves them as they are.
        sequences: Use no others; None uses all.

    Raises:
        DataError: the store holds no sequence of these subjects with all of the inputs.
    """

    def __init__(
        self,
        inputs: Inputs,
        subjects: Sequence[str],
        *,
        frames: int,
        choice: FrameChoice,
        augmentation: Augmentation = Augmentation(),  # noqa: B008 - frozen
        change: PoseChange | None = None,
        sequences: Sequence[int] | None = None,
    ) -> None:
        self.store, self._inputs = inputs.store, inputs
        store = inputs.store
        of_subjects = sequences_of(store, subjects)
        if sequences is not None:
            allowed = set(sequences)
            of_subjects = [index for index in of_subjects if index in allowed]
        if not of_subjects:
            raise no_subject_error(store, subjects, "training")
        self.indices = [index for index in of_subjects if inputs.count(index)]
        if not self.indices:
            raise nothing_usable(store, list(inputs.sources))
        present = {store.sequences[index].key.subject for index in self.indices}
        self.subjects = tuple(subject for subject in subjects if subject in present)
        number = {subject: place for place, subject in enumerate(self.subjects)}
        self.labels = [number[store.sequences[index].key.subject] for index in self.indices]
        self._frames, self._choice = frames, choice
        self._augmentation, self._change = augmentation, change

    def __len__(self) -> int:
        return len(self.indices)

    def clip_bytes(self) -> int:
        """Bytes of one clip's inputs, before sides of images are cut."""
        sizes = (
            math.prod(source.shape) * (4 if name == "poses" else 1)
            for name, source in self._inputs.sources.items()
        )
        return self._frames * sum(sizes)

    def __getitem__(self, requests: Sequence[ClipRequest]) -> ClipBatch:
        """The requested clips (raises ``StoreError`` where their source is damaged)."""
        each = self._frames
        total = each * len(requests)
        batch = {name: self._empty(name, total) for name in self._inputs.sources}
        indices = [self.indices[request.sequence] for request in requests]
        for place, (index, request) in enumerate(zip(indices, requests, strict=True)):
            random, rows = request.random(), self._inputs.rows(index)
            count = len(next(iter(rows.values())))
            frames = self._choice.frames(count, each, request.start, random)
            what = draw(self._augmentation, random.random(DRAWS))
            for name, source in self._inputs.sources.items():
                clip = source.read(index, rows[name][frames])
                if name != "poses":
                    clip = changed(name, clip, what)
                elif self._change is not None:
                    clip = self._change(clip, random)
                batch[name][place * each : (place + 1) * each] = torch.from_numpy(clip)
        named: dict[str, Any] = {_FIELDS[name]: _laid(name, rows) for name, rows in batch.items()}
        silhouettes = named.pop("silhouettes", None)
        return ClipBatch(
            named.pop("frames", None),
            None,
            empty((total, 0, 0), torch.uint8) if silhouettes is None else silhouettes,
            torch.ones(total, dtype=torch.bool),
            torch.tensor([self.labels[request.sequence] for request in requests]),
            torch.zeros(len(requests), dtype=torch.bool),
            torch.tensor(indices),
            **named,
        )

    def _empty(self, name: Input, total: int) -> Tensor:
        shape = self._inputs.sources[name].shape
        if name in _UNCUT:
            return empty((total, *shape), torch.float32 if name == "poses" else torch.uint8)
        return empty((total, *cut_sides(np.empty((0, *shape), np.uint8)).shape[1:]), torch.uint8)


def changed(name: Input, clip: NDArray[np.uint8], what: Draw) -> NDArray[np.uint8]:
    """A clip of images with its sides cut (not frames and masks) and a draw carried out."""
    if name in _UNCUT:
        return np.ascontiguousarray(clip[:, :, ::-1]) if what.flip else clip
    images = augment(clip, what, nearest=name == "parsing")
    return MIRRORED_LABELS[images] if name == "parsing" and what.flip else images


def _laid(name: Input, rows: Tensor) -> Tensor:
    """Rows as models take them: frames [T, 3, H, W], colours last in memory."""
    return rows.permute(0, 3, 1, 2) if name == "rgb" else rows


def nothing_usable(store: Store, names: Sequence[Input]) -> DataError:
    """No training sequence has all that a model reads."""
    if set(names) <= {"rgb", "masks", "silhouettes"}:
        what, advice = "a usable silhouette", "with its silhouettes"
    else:
        what = " and ".join(names) + (" of one frame" if len(names) > 1 else "")
        advice = "from a source that holds them"
    return DataError(
        f"No training sequence has {what}",
        where=store.path,
        next_step=f"Prepare the dataset {advice}, or train another --model.",
    )


class SequencePieces(Dataset[dict[Input, Tensor]]):
    """Sequences of a store, whole or in pieces, as a model reads them when it embeds.

    An item has of each input its rows [n, ...], images without their sides; n may be 0.

    Args:
        inputs: Makes, in the process that reads, what the sequences are taken from: once for each
            item, so that nothing of one is kept for the next.
        pieces: Numbers of the sequences, each with the first row of the piece and the one behind
            its last; None: to the end.
    """

    def __init__(
        self, inputs: Callable[[], Inputs], pieces: Sequence[tuple[int, int, int | None]]
    ) -> None:
        self._inputs, self._pieces = inputs, list(pieces)

    def __len__(self) -> int:
        return len(self._pieces)

    def __getitem__(self, number: int) -> dict[Input, Tensor]:
        """One piece (raises ``StoreError`` where the store is damaged)."""
        inputs, (index, first, end) = self._inputs(), self._pieces[number]
        piece: dict[Input, Tensor] = {}
        for name, rows in inputs.rows(index).items():
            content = inputs.sources[name].read(index, rows[first:end])
            if name not in _UNCUT:
                content = cut_sides(content)
            piece[name] = _laid(name, torch.from_numpy(np.ascontiguousarray(content)))
        return piece


def stream_chunks(
    inputs: Callable[[], Inputs],
    indices: Sequence[int],
    *,
    length: int,
    workers: int,
    counts: Sequence[int] | None = None,
) -> Iterator[tuple[int, Chunk]]:
    """A model's inputs of whole sequences, in chunks.

    A sequence that lacks an input has no chunk.

    Args:
        inputs: As for :class:`SequencePieces`; worker processes get it.
        indices: Sequences.
        length: Most frames of a chunk.
        workers: Processes that read ahead; 0: in this one.
        counts: At least as many as each sequence has rows, where whole sequences are too large to
            be read at once, as those of frames are; None reads them whole.

    Yields:
        Number of the sequence, and its next frames in time order: the tensor [t, ...] of a model
        with one input, of one with several a tensor for each.
    """
    pieces: list[tuple[int, int, int | None]] = [(index, 0, None) for index in indices]
    if counts is not None:
        pieces = [
            (index, first, first + length)
            for index, count in zip(indices, counts, strict=True)
            for first in range(0, count, length)
        ]
    data = SequencePieces(inputs, pieces)
    items = read_ahead(data, workers=min(workers, len(data)))
    for (index, _, _), piece in zip(pieces, items, strict=True):
        total = len(next(iter(piece.values())))
        for first in range(0, total, length):
            chunk = {name: rows[first : first + length] for name, rows in piece.items()}
            yield index, next(iter(chunk.values())) if len(chunk) == 1 else chunk
