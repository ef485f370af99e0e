"""Clips from a prepared store, ready for the device: small integers, in time order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from core.data.clips import consecutive_frames, spread_frames
from core.data.loading import read_ahead
from core.data.sampler import ClipRequest
from core.records import FRAME_HEIGHT, FRAME_WIDTH
from core.storage.features import FeatureStore
from core.storage.store import Store
from core.storage.subjects import nobody

FrameChoice = Callable[[int, int, float], NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class ClipBatch:
    """Clips of equal length.

    Attributes:
        frames: uint8 [B*T, 3, H, W], RGB; None with ``patches``.
        patches: float [B*T, N, C], stored features of the frozen image encoder (of mirrored
            frames where ``flips`` says so); None with ``frames``.
        silhouettes: uint8 [B*T, h, w], share of the foreground x 255.
        valid: bool [B*T], False where a frame has no usable silhouette.
        labels: int64 [B], class numbers.
        flips: bool [B], clips to be mirrored.
        sequences: int64 [B], numbers of the sequences in the store.
    """

    frames: Tensor | None
    patches: Tensor | None
    silhouettes: Tensor
    valid: Tensor
    labels: Tensor
    flips: Tensor
    sequences: Tensor

    def to(self, device: torch.device) -> ClipBatch:
        """The same batch on ``device``."""
        fields = (getattr(self, name) for name in self.__slots__)
        return ClipBatch(
            *(None if f is None else f.to(device, non_blocking=True) for f in fields)  # type: ignore[arg-type]
        )

    def mirrored(self) -> ClipBatch:
        """The batch with its flips carried out, on whatever device it is.

        Stored features are those of mirrored frames already.
        """
        each = len(self.valid) // len(self.labels)
        chosen = self.flips.repeat_interleave(each)
        frames = self.frames
        if frames is not None:
            frames = torch.where(chosen[:, None, None, None], frames.flip(-1), frames)
        flipped = torch.where(chosen[:, None, None], self.silhouettes.flip(-1), self.silhouettes)
        return replace(self, frames=frames, silhouettes=flipped)


class TrainingSequences(Dataset[ClipBatch]):
    """Clips of the training subjects' sequences.

    Args:
        store: The prepared store.
        subjects: Training subjects; class numbers follow their order.
        frames: T.
        frame_size: (H, W) that the frames are reduced to where it divides the store's evenly;
            else the store's own size (enlarging is the device's work).
        silhouette_size: (h, w) of the decoder's output.
        flip: Probability of a mirrored clip.
        ordered: Consecutive frames; else frames spread over the sequence (warm-up).
        features: Read these in place of frames; they hold every sequence used here.

    Raises:
        DataError: the store holds no sequence of these subjects.
    """

    def __init__(
        self,
        store: Store,
        subjects: Sequence[str],
        *,
        frames: int,
        frame_size: tuple[int, int],
        silhouette_size: tuple[int, int],
        flip: float,
        ordered: bool = True,
        features: FeatureStore | None = None,
    ) -> None:
        present = {info.key.subject for info in store.sequences}
        self.subjects = tuple(s for s in subjects if s in present)
        number = {subject: place for place, subject in enumerate(self.subjects)}
        self.store = store
        self.indices = [i for i, info in enumerate(store.sequences) if info.key.subject in number]
        self.labels = [number[store.sequences[i].key.subject] for i in self.indices]
        if not self.indices:
            raise nobody(store, subjects, "training")
        self._frames, self._flip = frames, flip
        self._frame_size = reduced_size(frame_size)
        self._silhouette_size = silhouette_size
        self._features = features
        self._choose: FrameChoice = consecutive_frames if ordered else spread_frames

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, request: ClipRequest) -> ClipBatch:
        """One clip as a batch of one."""
        index = self.indices[request.sequence]
        total = self.store.sequences[index].frames
        chosen = self._choose(total, self._frames, request.start).tolist()
        flip = request.flip < self._flip
        frames = patches = None
        if self._features is None:
            clip = self.store.read(index, chosen)
            masks, valid = clip.silhouettes, clip.valid
            frames = to_tensor(clip.rgb, self._frame_size)
        else:
            masks, valid = self.store.read_silhouettes(index, chosen)
            patches = torch.from_numpy(self._features.read(index, chosen, mirrored=flip))
        return ClipBatch(
            frames,
            patches,
            torch.from_numpy(shrink(masks.view(np.uint8) * 255, self._silhouette_size)),
            torch.from_numpy(valid),
            torch.tensor([self.labels[request.sequence]]),
            torch.tensor([flip]),
            torch.tensor([index]),
        )


def collate(clips: Sequence[ClipBatch]) -> ClipBatch:
    """Join batches of one."""
    joined: dict[str, Any] = {}
    for name in ClipBatch.__slots__:
        parts = [getattr(clip, name) for clip in clips]
        joined[name] = None if parts[0] is None else torch.cat(parts)
    return ClipBatch(**joined)


class _Requests(Sampler[list[ClipRequest]]):
    def __init__(self, batches: Iterable[list[ClipRequest]]) -> None:
        self._batches = batches

    def __iter__(self) -> Iterator[list[ClipRequest]]:
        return iter(self._batches)


def load_batches(
    dataset: TrainingSequences,
    batches: Iterable[list[ClipRequest]],
    *,
    workers: int,
    pin: bool,
) -> Iterator[ClipBatch]:
    """Read batches in order, ahead of their use by ``workers`` processes (0: in this one)."""
    yield from read_ahead(
        dataset,
        workers=workers,
        join=collate,
        batch_sampler=_Requests(batches),
        pin_memory=pin,
        prefetch_factor=4 if workers else None,
    )


def reduced_size(wanted: tuple[int, int]) -> tuple[int, int]:
    """``wanted`` where it divides the store's frame size evenly, else that size itself."""
    height, width = wanted
    fits = FRAME_HEIGHT % height == 0 and FRAME_WIDTH % width == 0
    return wanted if fits else (FRAME_HEIGHT, FRAME_WIDTH)


def to_tensor(rgb: NDArray[np.uint8], size: tuple[int, int]) -> Tensor:
    """Frames uint8 [T, H, W, 3] as uint8 [T, 3, h, w], reduced to ``size`` by area means."""
    return torch.from_numpy(shrink(rgb, size)).permute(0, 3, 1, 2).contiguous()


def shrink(images: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Reduce images [T, H, W(, 3)] to [T, h, w(, 3)] by area means."""
    if images.shape[1:3] == size:
        return np.ascontiguousarray(images)
    out = np.empty((len(images), *size, *images.shape[3:]), np.uint8)
    for image, place in zip(images, out, strict=True):
        cv2.resize(image, (size[1], size[0]), dst=place, interpolation=cv2.INTER_AREA)
    return out
