"""Process many rows in blocks of bounded memory, on all processors."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

# Numbers (not bytes) that a block of distances may hold; bounds memory whatever the gallery's size.
BLOCK_ENTRIES = 1 << 21
# More workers would hold more blocks at once.
MAX_WORKERS = 8

R = TypeVar("R")


def row_blocks(rows: int, columns: int) -> Iterator[slice]:
    """Split ``rows`` so that a block of distances to ``columns`` has bounded size."""
    step = max(1, BLOCK_ENTRIES // max(1, columns))
    for start in range(0, rows, step):
        yield slice(start, min(rows, start + step))


def each_block(
    work: Callable[[slice], R], rows: int, columns: int, device: torch.device
) -> Iterator[tuple[slice, R]]:
    """Yield every block of rows with ``work(block)``, in order.

    On the CPU, each block is processed by one thread: threads that share one operation wait
    for each other, which costs many times the work as soon as another program is busy. The
    result of a block does not depend on the number of threads.
    """
    blocks = list(row_blocks(rows, columns))
    if device.type != "cpu":
        for block in blocks:
            yield block, work(block)
        return
    usual = torch.get_num_threads()
    workers = max(1, min(usual, os.cpu_count() or 1, len(blocks), MAX_WORKERS))
    try:
        with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield from zip(blocks, pool.map(work, blocks), strict=True)
    finally:
        torch.set_num_threads(usual)
