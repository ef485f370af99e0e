"""Clips from a prepared store, ready for the device: small integers, in time order."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from core.data.clips import FrameChoice
from core.data.loading import empty, read_ahead
from core.data.sampler import ClipRequest
from core.records import FRAME_HEIGHT, FRAME_WIDTH
from core.storage.features import FeatureStore, frame_bytes
from core.storage.store import Store
from core.storage.subjects import no_subject_error, present_subjects, sequences_of


@dataclass(frozen=True, slots=True)
class ClipBatch:
    """Clips of equal length.

    Frames lie in memory as stores hold them, colours last: a view of [B*T, H, W, 3] (torch's
    ``channels_last``). Nothing but a model's own preparation, on its device, lays them out anew.

    Attributes:
        frames: uint8 [B*T, 3, H, W], RGB; None with ``patches``.
        patches: float [B*T, N, C], stored features of the frozen image encoder (of mirrored
            frames where ``flips`` says so); None with ``frames``.
        silhouettes: uint8 [B*T, h, w], share of the foreground x 255; [B*T, 0, 0] for a model that
            reads other inputs alone.
        valid: bool [B*T], False where a frame has no usable silhouette.
        labels: int64 [B], class numbers.
        flips: bool [B], clips to be mirrored.
        sequences: int64 [B], numbers of the sequences in the store.
        draws: float64 [B] in [0, 1), one for what a model changes at random in a whole clip: it
            follows from seed and step, whatever the process. None where nothing draws.
        poses: float32 [B*T, 17, 3], x, y in pixels of the source's frame and the confidence; a
            joint without an estimate is all zeros. This and what follows is None where the model
            does not read it; frame i of all inputs shows one moment.
        maps: uint8 [B*T, 2, H, W], skeleton maps: limbs, joints.
        parsing: uint8 [B*T, H, W], labels of body parts, 0 to 11.
        flow: uint8 [B*T, 3, H, W], optical flow as colours.
    """

    frames: Tensor | None
    patches: Tensor | None
    silhouettes: Tensor
    valid: Tensor
    labels: Tensor
    flips: Tensor
    sequences: Tensor
    draws: Tensor | None = None
    poses: Tensor | None = None
    maps: Tensor | None = None
    parsing: Tensor | None = None
    flow: Tensor | None = None

    def pin_memory(self) -> ClipBatch:
        """The same batch in memory that a GPU copies from by itself; torch's loader calls it."""
        return self._each(lambda tensor: tensor.pin_memory())

    def to(self, device: torch.device) -> ClipBatch:
        """The same batch on ``device``; a copy from pinned memory runs asynchronously."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def _each(self, change: Callable[[Tensor], Tensor]) -> ClipBatch:
        tensors = ((field.name, getattr(self, field.name)) for field in fields(self))
        return replace(self, **{name: change(one) for name, one in tensors if one is not None})

    def mirrored(self) -> ClipBatch:
        """The batch with its flips carried out, on its current device.

        Stored features are those of mirrored frames already.
        """
        each = len(self.valid) // len(self.labels)
        flipped_frames = self.flips.repeat_interleave(each)
        frames = self.frames
        if frames is not None:
            frames = torch.where(flipped_frames[:, None, None, None], frames.flip(-1), frames)
        flipped = torch.where(
            flipped_frames[:, None, None], self.silhouettes.flip(-1), self.silhouettes
        )
        return replace(self, frames=frames, silhouettes=flipped)


class TrainingSequences(Dataset[ClipBatch]):
    """Clips of the training subjects' sequences, a whole batch an item.

    Args:
        store: The prepared store.
        subjects: Training subjects; class numbers follow their order.
        frames: T.
        frame_size: (H, W) that the frames are reduced to where it divides the store's evenly;
            else the store's own size (enlarging is the device's work).
        silhouette_size: (h, w) of the decoder's output.
        flip: Probability of a mirrored clip.
        choice: Which frames make a clip.
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
        choice: FrameChoice = FrameChoice(),  # noqa: B008 - frozen
        features: FeatureStore | None = None,
    ) -> None:
        self.subjects = present_subjects(store, subjects)
        number = {subject: place for place, subject in enumerate(self.subjects)}
        self.store = store
        self.indices = sequences_of(store, subjects)
        self.labels = [number[store.sequences[i].key.subject] for i in self.indices]
        if not self.indices:
            raise no_subject_error(store, subjects, "training")
        self._frames, self._flip = frames, flip
        self._frame_size = reduced_size(frame_size)
        self._silhouette_size = silhouette_size
        self._features = features
        self._choice = choice

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, requests: Sequence[ClipRequest]) -> ClipBatch:
        """The clips asked for, each read into its place in the batch."""
        each, total = self._frames, self._frames * len(requests)
        indices = [self.indices[request.sequence] for request in requests]
        flips = [request.flip < self._flip for request in requests]
        frames = patches = None
        if self._features is None:
            frames = empty((total, *self._frame_size, 3), torch.uint8)
        else:
            info = self._features.info
            patches = empty((total, info.tokens, info.channels), getattr(torch, info.dtype))
        silhouettes = empty((total, *self._silhouette_size), torch.uint8)
        valid, draws = empty((total,), torch.bool), []
        for place, request in enumerate(requests):
            index, part = indices[place], slice(place * each, (place + 1) * each)
            count, random = self.store.sequences[index].frames, request.random()
            numbers = self._choice.frames(count, each, request.start, random).tolist()
            draws.append(random.random())
            masks, flags = self.store.read_silhouettes(index, numbers)
            shrink(masks.view(np.uint8) * 255, silhouettes[part].numpy())
            valid[part] = torch.from_numpy(flags)
            if frames is not None:
                read_frames(self.store, index, numbers, frames[part].numpy())
            if patches is not None and self._features is not None:
                out = patches[part].numpy()
                self._features.read(index, numbers, mirrored=flips[place], out=out)
        return ClipBatch(
            None if frames is None else frames.permute(0, 3, 1, 2),
            patches,
            silhouettes,
            valid,
            torch.tensor([self.labels[request.sequence] for request in requests]),
            torch.tensor(flips),
            torch.tensor(indices),
            torch.tensor(draws, dtype=torch.float64),
        )

    def clip_bytes(self) -> int:
        """Bytes of one clip of a batch, but for a few."""
        info = None if self._features is None else self._features.info
        inputs = (
            math.prod(self._frame_size) * 3
            if info is None
            else frame_bytes(info.tokens, info.channels, False, info.dtype)
        )
        return self._frames * (inputs + math.prod(self._silhouette_size))


def load_batches(
    dataset: Dataset[ClipBatch],
    batches: Iterable[list[ClipRequest]],
    *,
    workers: int,
    pin: bool,
) -> Iterator[ClipBatch]:
    """Read batches in order, ahead of their use by ``workers`` processes (0: in this one).

    Raises as :func:`core.data.loading.read_ahead`.
    """
    yield from read_ahead(dataset, batches, workers=workers, pin=pin)


def reduced_size(size: tuple[int, int]) -> tuple[int, int]:
    """``size`` where it divides the store's frame size evenly, else that size itself."""
    height, width = size
    fits = FRAME_HEIGHT % height == 0 and FRAME_WIDTH % width == 0
    return size if fits else (FRAME_HEIGHT, FRAME_WIDTH)


def read_frames(
    store: Store, index: int, frames: slice | Sequence[int], out: NDArray[np.uint8]
) -> None:
    """Read frames of a sequence into ``out`` uint8 [T, h, w, 3], reduced to its size."""
    if out.shape[1:3] == (FRAME_HEIGHT, FRAME_WIDTH):
        store.read_rgb(index, frames, out)
    else:
        shrink(store.read_rgb(index, frames), out)


def to_tensor(rgb: NDArray[np.uint8], size: tuple[int, int]) -> Tensor:
    """Frames uint8 [T, H, W, 3] as uint8 [T, 3, h, w], reduced to ``size`` by area means.

    Colours stay last in memory, as in a :class:`ClipBatch`.
    """
    out = np.empty((len(rgb), *size, 3), np.uint8)
    shrink(rgb, out)
    return torch.from_numpy(out).permute(0, 3, 1, 2)


def shrink(images: NDArray[np.uint8], out: NDArray[np.uint8]) -> None:
    """Reduce images [T, H, W(, 3)] into ``out`` [T, h, w(, 3)] by area means."""
    if images.shape == out.shape:
        out[...] = images
        return
    size = (out.shape[2], out.shape[1])
    for image, place in zip(images, out, strict=True):
        cv2.resize(image, size, dst=place, interpolation=cv2.INTER_AREA)
