"""Clips and sequences of silhouettes, for models that read nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from core.data.augment import DRAWS, Augmentation, augment, cut_sides, draw
from core.data.clips import FrameChoice
from core.data.cutting import SilhouettePieces, silhouette_frames
from core.data.dataset import ClipBatch
from core.data.loading import empty, read_ahead
from core.data.sampler import ClipRequest
from core.errors import DataError
from core.manifests.schema import SilhouetteCut
from core.models.silhouettes import SilhouetteInput
from core.records import SilhouetteKind
from core.storage.store import Store
from core.storage.subjects import nobody, sequences_of
from core.video.cut import CutSize


class Silhouettes(Protocol):
    """Silhouettes of a store, as :class:`core.storage.silhouettes.SilhouetteStore` has them."""

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns) of each."""

    def usable(self, index: int) -> NDArray[np.int64]:
        """Numbers of a sequence's frames with a usable silhouette, int64, rising."""

    def read(self, index: int, frames: Sequence[int] | NDArray[np.int64]) -> NDArray[np.uint8]:
        """Silhouettes uint8 [T, rows, columns] of usable frames of a sequence."""


class SilhouetteClips(Dataset[ClipBatch]):
    """Clips of the training subjects' silhouettes, augmented, a whole batch an item.

    Frames without a usable silhouette are left out.

    Args:
        store: The prepared store.
        silhouettes: Its silhouettes.
        subjects: Training subjects; class numbers follow their order.
        frames: T.
        settings: Which frames make a clip, and augmentations.
        flip: Probability of a mirrored clip.
        sequences: Use no others; None uses all.

    Raises:
        DataError: the store holds no sequence of these subjects with a usable silhouette.
    """

    def __init__(
        self,
        store: Store,
        silhouettes: Silhouettes,
        subjects: Sequence[str],
        *,
        frames: int,
        settings: SilhouetteInput,
        flip: float,
        sequences: Sequence[int] | None = None,
    ) -> None:
        self.store, self._silhouettes = store, silhouettes
        of_subjects = sequences_of(store, subjects)
        if sequences is not None:
            chosen = set(sequences)
            of_subjects = [index for index in of_subjects if index in chosen]
        if not of_subjects:
            raise nobody(store, subjects, "training")
        self.indices = [index for index in of_subjects if len(silhouettes.usable(index))]
        if not self.indices:
            raise DataError(
                "No training sequence has a usable silhouette",
                where=store.path,
                next_step="Prepare the dataset with its silhouettes, or train another --model.",
            )
        present = {store.sequences[index].key.subject for index in self.indices}
        self.subjects = tuple(subject for subject in subjects if subject in present)
        number = {subject: place for place, subject in enumerate(self.subjects)}
        self.labels = [number[store.sequences[index].key.subject] for index in self.indices]
        self._frames, self._settings = frames, settings
        self._choice = FrameChoice.of(settings)
        self._augmentation = Augmentation(
            perspective=settings.perspective,
            flip=flip,
            rotate=settings.rotate,
            erase=settings.erase,
        )

    def __len__(self) -> int:
        return len(self.indices)

    def clip_bytes(self) -> int:
        """Bytes of one clip's silhouettes, before their sides are cut."""
        return self._frames * math.prod(self._silhouettes.shape)

    def __getitem__(self, requests: Sequence[ClipRequest]) -> ClipBatch:
        """The clips asked for (raises ``StoreError`` where the silhouettes are damaged)."""
        each = self._frames
        shape = cut_sides(np.empty((0, *self._silhouettes.shape), np.uint8)).shape[1:]
        silhouettes = empty((each * len(requests), *shape), torch.uint8)
        indices = [self.indices[request.sequence] for request in requests]
        for place, (index, request) in enumerate(zip(indices, requests, strict=True)):
            random, usable = request.random(), self._silhouettes.usable(index)
            frames = self._choice.frames(len(usable), each, request.start, random)
            clip = self._silhouettes.read(index, usable[frames])
            images = augment(clip, draw(self._augmentation, random.random(DRAWS)))
            silhouettes[place * each : (place + 1) * each] = torch.from_numpy(images)
        return ClipBatch(
            None,
            None,
            silhouettes,
            torch.ones(len(silhouettes), dtype=torch.bool),
            torch.tensor([self.labels[request.sequence] for request in requests]),
            torch.zeros(len(requests), dtype=torch.bool),
            torch.tensor(indices),
        )


def silhouette_chunks(
    store: Store,
    indices: Sequence[int],
    cut: SilhouetteCut,
    *,
    size: CutSize,
    length: int,
    workers: int,
    which: SilhouetteKind = "cut",
) -> Iterator[tuple[int, Tensor]]:
    """Usable silhouettes of whole sequences, cut as they are read, or as they were delivered.

    A sequence without a usable silhouette has no chunk.

    Args:
        store: The prepared store.
        indices: Sequences.
        cut: How the dataset's silhouettes are cut.
        size: Rows of a silhouette.
        length: Most frames of a chunk.
        workers: Processes that read ahead and cut; 0: in this one.
        which: Whether they are cut from masks, or were delivered.

    Yields:
        Number of the sequence, and silhouettes uint8 [t, H, W] without sides, in time order.

    Raises:
        StoreError: the store is damaged, or does not hold them.
        UsageError: delivered ones have another number of rows.
    """
    pieces = SilhouettePieces(store, indices, size, cut, which)
    items = read_ahead(pieces, workers=min(workers, len(pieces)))
    for index in indices:
        left = silhouette_frames(store, index, which)
        while left > 0:
            cuts, usable = next(items)
            left -= len(cuts)
            images = torch.from_numpy(np.ascontiguousarray(cut_sides(cuts[usable].numpy())))
            for chunk in images.split(length) if len(images) else ():
                yield index, chunk
