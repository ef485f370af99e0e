"""Reads items of a given size by a worker: run by a test where shared memory is small.

Usage: python -m tests.fakes.large BYTES (made|moved|clips)
"""

from __future__ import annotations

import sys

import torch
from torch import Tensor
from torch.utils.data import Dataset

from core.data.dataset import ClipBatch
from core.data.loading import empty, read_ahead, workers_explained
from core.errors import LmgaitError


class Large(Dataset[Tensor | ClipBatch]):
    """Four items of ``size`` bytes: tensors made where they are handed out, or moved there."""

    def __init__(self, size: int, kind: str) -> None:
        self._size, self._kind = size, kind

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Tensor | ClipBatch:
        if self._kind == "made":
            return empty((self._size,), torch.uint8).fill_(index)
        frames = torch.full((self._size,), index, dtype=torch.uint8)
        if self._kind == "moved":
            return frames
        number = torch.tensor([index])
        return ClipBatch(frames, None, number, number > 0, number, number > 0, number)


def main() -> None:
    """Read all items and print their number, or the error's kind and words."""
    data = Large(int(sys.argv[1]), sys.argv[2])
    try:
        with workers_explained():
            told = str(sum(1 for _ in read_ahead(data, workers=1)))
    except LmgaitError as error:
        told = f"{type(error).__name__} {error}"
    sys.stdout.write(told)


if __name__ == "__main__":
    main()
