from __future__ import annotations

import threading

import pytest
import torch

from core.metrics import blocks
from core.metrics.blocks import each_block


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


def test_an_error_in_a_worker_reaches_the_caller():
    def work(rows: slice) -> None:
        raise ValueError("broken")

    before = torch.get_num_threads()
    with pytest.raises(ValueError, match="broken"):
        list(each_block(work, 3, 1, torch.device("cpu")))
    assert torch.get_num_threads() == before
