"""Reads items of a given size by a worker: run by a test where shared memory is small.

Usage: python -m tests.fakes.large BYTES (alone|joined)
"""

from __future__ import annotations

import sys

import torch
from torch import Tensor
from torch.utils.data import Dataset

from core.data.dataset import ClipBatch, collate
from core.data.loading import read_ahead, workers_explained
from core.errors import LmgaitError


class Large(Dataset[Tensor | ClipBatch]):
    """Four items of ``size`` bytes."""

    def __init__(self, size: int, joined: bool) -> None:
        self._size, self._joined = size, joined

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Tensor | ClipBatch:
        frames = torch.full((self._size,), index, dtype=torch.uint8)
        number = torch.tensor([index])
        if not self._joined:
            return frames
        return ClipBatch(frames, None, number, number > 0, number, number > 0, number)


def main() -> None:
    """Read all items and print their number, or the error's kind and words."""
    size, joined = int(sys.argv[1]), sys.argv[2] == "joined"
    data = Large(size, joined)
    how = {"join": collate, "batch_size": 2} if joined else {"batch_size": None}
    try:
        with workers_explained():
            told = str(sum(1 for _ in read_ahead(data, workers=1, **how)))
    except LmgaitError as error:
        told = f"{type(error).__name__} {error}"
    sys.stdout.write(told)


if __name__ == "__main__":
    main()
