"""Frames/s delivered by one loader worker, in batches of 6 x 8 clips of 30 frames.

The common way: each clip is read, its colours brought to the front and made contiguous, clips are
joined by ``torch.cat``, and the batch is copied to shared memory. Ours: the batch is allocated in
shared memory, and each clip is read into its place. Both read the same store with the same code,
alternately; timed from the first batch to the last. The worker's CPU time is measured too, because
other programs on the machine affect it less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from benchmarks.inputs import ccpg_like
from benchmarks.loader import CODECS, FRAMES, store_of
from core.data.clips import consecutive_frames
from core.data.dataset import ClipBatch, TrainingSequences
from core.data.loading import read_ahead
from core.data.sampler import ClipRequest, IdentityBatches
from core.storage.store import Store

CLIP, IDENTITIES, CLIPS_EACH = 30, 6, 8
FRAME_SIZE, SILHOUETTE_SIZE = (448, 224), (64, 32)


class CommonWay(Dataset[tuple[Tensor, ...]]):
    """The batches of ``ours``, clip by clip."""

    def __init__(self, ours: TrainingSequences) -> None:
        self._ours = ours

    def __getitem__(self, requests: Sequence[ClipRequest]) -> tuple[Tensor, ...]:
        clips = [self._clip(request) for request in requests]
        return tuple(torch.cat(parts) for parts in zip(*clips, strict=True))

    def _clip(self, request: ClipRequest) -> tuple[Tensor, ...]:
        store, index = self._ours.store, self._ours.indices[request.sequence]
        numbers = consecutive_frames(store.sequences[index].frames, CLIP, request.start).tolist()
        clip = store.read(index, numbers)
        masks = clip.silhouettes.view(np.uint8) * 255
        small = np.empty((CLIP, *SILHOUETTE_SIZE), np.uint8)
        for mask, place in zip(masks, small, strict=True):
            cv2.resize(mask, SILHOUETTE_SIZE[::-1], dst=place, interpolation=cv2.INTER_AREA)
        return (
            torch.from_numpy(clip.rgb).permute(0, 3, 1, 2).contiguous(),
            torch.from_numpy(small),
            torch.from_numpy(clip.valid),
            torch.tensor([self._ours.labels[request.sequence]]),
            torch.tensor([request.flip < 0.5]),
            torch.tensor([index]),
        )


class Stamped(Dataset[tuple[Tensor, ...]]):
    """The tensors of batches, and the worker's CPU time at the start of each."""

    def __init__(self, data: Dataset[Any]) -> None:
        self._data = data

    def __getitem__(self, requests: Sequence[ClipRequest]) -> tuple[Tensor, ...]:
        start = torch.tensor(process_time(), dtype=torch.float64)
        batch = self._data[requests]
        if isinstance(batch, ClipBatch):
            batch = tuple(getattr(batch, field.name) for field in fields(batch))
        return start, *(one for one in batch if one is not None)


def measure(quick: bool) -> dict[str, Any]:
    """Compare medians of alternating rounds; ``ratio`` is how many times more ours delivers."""
    rounds, batches = (2, 3) if quick else (7, 7)
    rates: dict[str, dict[str, list[NDArray[np.float64]]]] = {}
    with TemporaryDirectory() as folder:
        base = Path(folder)
        # Four sequences of each subject, so that a batch holds each of them twice.
        source = ccpg_like(base / "raw", 4 * IDENTITIES, FRAMES)
        ways = {name: _ways(store_of(source, base, name)) for name in CODECS}
        for number in range(rounds):
            for codec, pair in ways.items():
                # Both orders, so that neither profits from a warm machine.
                for name in sorted(pair, reverse=number % 2 == 1):
                    measured = _rates(pair[name], _requests(pair["ours"], number, batches))
                    rates.setdefault(codec, {}).setdefault(name, []).append(measured)
    ratios = {
        codec: np.array(each["ours"]) / np.array(each["common"]) for codec, each in rates.items()
    }
    return {
        "name": "frames/s that one worker delivers, batches of 6 x 8 clips of 30 frames",
        "ratio": float(np.median(ratios["lossless"][:, 0])),
        "unit": "frames/s",
        "baseline": "clips made contiguous one by one, joined, copied to shared memory",
        **_ranges("", 0, rates, ratios),
        **_ranges("_of_processor_time", 1, rates, ratios),
    }


def _ranges(
    name: str,
    column: int,
    rates: dict[str, dict[str, list[NDArray[np.float64]]]],
    ratios: dict[str, NDArray[np.float64]],
) -> dict[str, Any]:
    return {
        f"medians{name}": {
            codec: {way: round(float(np.median(values, 0)[column])) for way, values in each.items()}
            for codec, each in rates.items()
        },
        f"ratios{name}": {
            codec: float(np.median(values[:, column])) for codec, values in ratios.items()
        },
        f"lowest_and_highest{name}": {
            codec: [float(values[:, column].min()), float(values[:, column].max())]
            for codec, values in ratios.items()
        },
    }


def _ways(store: Store) -> dict[str, Any]:
    subjects = sorted({info.key.subject for info in store.sequences})
    ours = TrainingSequences(
        store,
        subjects,
        frames=CLIP,
        frame_size=FRAME_SIZE,
        silhouette_size=SILHOUETTE_SIZE,
        flip=0.5,
    )
    return {"ours": ours, "common": CommonWay(ours)}


def _requests(data: TrainingSequences, seed: int, batches: int) -> list[list[ClipRequest]]:
    sampler = IdentityBatches(data.labels, IDENTITIES, CLIPS_EACH, seed)
    return [sampler.batch(step) for step in range(batches)]


def _rates(data: Dataset[Any], batches: list[list[ClipRequest]]) -> NDArray[np.float64]:
    """Frames per second, and per second of the worker's CPU time, after the first batch."""
    times = [
        (perf_counter(), float(start))
        for start, *_ in read_ahead(Stamped(data), batches, workers=1)
    ]
    frames = sum(len(batch) for batch in batches[1:]) * CLIP
    elapsed: NDArray[np.float64] = np.array(times[-1]) - np.array(times[0])
    return frames / elapsed
