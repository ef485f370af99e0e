from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.metrics import blocks
from core.metrics.blocks import each_block, row_blocks
from core.metrics.distance import StripDistances
from core.metrics.search import Codes, search


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_blocks_come_in_order_with_their_results(device, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_ENTRIES", 20)
    result = list(each_block(lambda rows: rows.stop - rows.start, 9, 10, torch.device(device)))
    assert [(rows.start, size) for rows, size in result] == [(0, 2), (2, 2), (4, 2), (6, 2), (8, 1)]
    assert list(each_block(lambda rows: rows.stop, 0, 10, torch.device(device))) == []


def test_each_worker_uses_one_thread_and_the_callers_number_is_restored(monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_ENTRIES", 1)
    before = torch.get_num_threads()
    thread_ids = set()

    def work(rows: slice) -> int:
        thread_ids.add(threading.get_ident())
        return torch.get_num_threads()

    counts = [count for _, count in each_block(work, 20, 1, torch.device("cpu"))]
    assert counts == [1] * 20
    assert threading.get_ident() not in thread_ids
    assert torch.get_num_threads() == before


def test_later_threads_get_the_callers_thread_number():
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
def test_the_number_of_workers_respects_every_limit(
    threads, processors, rows, workers, monkeypatch
):
    worker_counts = []

    class Pool(ThreadPoolExecutor):
        def __init__(self, workers, **options):
            worker_counts.append(workers)
            super().__init__(1, **options)

    monkeypatch.setattr(blocks, "ThreadPoolExecutor", Pool)
    monkeypatch.setattr(blocks, "BLOCK_ENTRIES", 1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    monkeypatch.setattr(os, "cpu_count", lambda: processors)
    assert len(list(each_block(lambda rows: None, rows, 1, torch.device("cpu")))) == rows
    assert worker_counts == [workers]


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


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**16), entries=st.integers(1, 90), probes=st.integers(0, 12))
def test_a_search_in_blocks_equals_a_search_of_the_whole_matrix(seed, entries, probes):
    draws = np.random.default_rng(seed)
    values = draws.integers(0, 3, (probes + 17, 2, 1)).astype(np.float32)  # many ties
    codes = Codes(draws.integers(0, 5, len(values)), draws.integers(0, 3, len(values)))
    distances, sizes = StripDistances(values), []
    rows, gallery = np.arange(probes), np.arange(probes, len(values))

    def block(some):
        sizes.append(len(some) * len(gallery))
        return distances.between(some, torch.from_numpy(gallery))

    whole = search(block, codes, rows, gallery, 3)
    sizes.clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK_ENTRIES", entries)
        parts = search(block, codes, rows, gallery, 3)
    assert max(sizes, default=0) <= max(entries, len(gallery))
    assert sum(sizes) == probes * len(gallery)
    assert np.array_equal(parts.rank, whole.rank)
    assert np.array_equal(parts.chance, whole.chance)
    for name in ("rank", "precision", "inverse_penalty", "chance"):
        one, other = getattr(parts.whole, name), getattr(whole.whole, name)
        assert np.array_equal(one, other, equal_nan=True)
