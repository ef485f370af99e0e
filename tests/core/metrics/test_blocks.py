from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from core.metrics import blocks
from core.metrics.blocks import each_block, row_blocks


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_blocks_come_in_order_with_their_results(device, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_ENTRIES", 20)
    found = list(each_block(lambda rows: rows.stop - rows.start, 9, 10, torch.device(device)))
    assert [(rows.start, size) for rows, size in found] == [(0, 2), (2, 2), (4, 2), (6, 2), (8, 1)]
    assert list(each_block(lambda rows: rows.stop, 0, 10, torch.device(device))) == []


def test_each_worker_computes_alone_and_the_callers_threads_stay(monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_ENTRIES", 1)
    before = torch.get_num_threads()
    seen = set()

    def work(rows: slice) -> int:
        seen.add(threading.get_ident())
        return torch.get_num_threads()

    counts = [count for _, count in each_block(work, 20, 1, torch.device("cpu"))]
    assert counts == [1] * 20
    assert threading.get_ident() not in seen
    assert torch.get_num_threads() == before


def test_threads_that_start_later_get_the_callers_number():
    usual = torch.get_num_threads()
    later: list[int] = []
    try:
        torch.set_num_threads(2)
        list(each_block(lambda rows: None, 3, 1, torch.device("cpu")))
        thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
        thread.start()
        thread.join()
        assert [torch.get_num_threads(), *later] == [2, 2]
    finally:
        torch.set_num_threads(usual)


@pytest.mark.parametrize(
    ("threads", "processors", "rows", "workers"),
    [(3, 9, 20, 3), (9, 2, 20, 2), (9, None, 20, 1), (9, 9, 4, 4), (9, 9, 0, 1), (99, 99, 20, 8)],
)
def test_workers_are_no_more_than_anything_allows(threads, processors, rows, workers, monkeypatch):
    told = []

    class Pool(ThreadPoolExecutor):
        def __init__(self, workers, **options):
            told.append(workers)
            super().__init__(1, **options)

    monkeypatch.setattr(blocks, "ThreadPoolExecutor", Pool)
    monkeypatch.setattr(blocks, "BLOCK_ENTRIES", 1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    monkeypatch.setattr(os, "cpu_count", lambda: processors)
    assert len(list(each_block(lambda rows: None, rows, 1, torch.device("cpu")))) == rows
    assert told == [workers]


def test_a_gallery_of_one_or_none_gets_blocks_of_full_size(monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_ENTRIES", 20)
    for columns in (0, 1):
        assert list(row_blocks(25, columns)) == [slice(0, 20), slice(20, 25)]


def test_an_error_in_a_worker_reaches_the_caller():
    def work(rows: slice) -> None:
        raise ValueError("broken")

    before = torch.get_num_threads()
    with pytest.raises(ValueError, match="broken"):
        list(each_block(work, 3, 1, torch.device("cpu")))
    assert torch.get_num_threads() == before
