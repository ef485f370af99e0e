"""Re-ranking against a slow implementation with sets and dense vectors, from the paper's text."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core.errors import UsageError
from core.metrics import blocks
from core.metrics.distance import StripDistances
from core.metrics.rerank import Reranking, rerank_block


def slow(values: np.ndarray, probes: int, k1: int, k2: int, weight: float) -> np.ndarray:
    n = len(values)
    far = np.linalg.norm(values[:, None] - values[None], axis=2) ** 2
    far = far / far.max(1, keepdims=True)

    orders = []
    for i in range(n):
        orders.append(sorted(range(n), key=lambda j: (j != i, round(far[i, j], 9), j)))

    def nearest(i: int, k: int) -> list[int]:
        return orders[i][:k]

    def mutual(i: int, k: int) -> set[int]:
        return {j for j in nearest(i, k + 1) if i in nearest(j, k + 1)}

    codes = np.zeros((n, n))
    for i in range(n):
        own = mutual(i, k1)
        wide = set(own)
        for j in own:
            other = mutual(j, round(k1 / 2))
            if len(own & other) >= 2 / 3 * len(other) - 1e-9:
                wide |= other
        for j in wide:
            codes[i, j] = np.exp(-far[i, j])
        codes[i] /= codes[i].sum()
    codes = np.stack([codes[nearest(i, k2)].mean(0) for i in range(n)])
    result = np.zeros((probes, n - probes))
    for i in range(probes):
        for j in range(probes, n):
            least = np.minimum(codes[i], codes[j]).sum()
            most = np.maximum(codes[i], codes[j]).sum()
            result[i, j - probes] = (1 - least / most) * (1 - weight) + far[i, j] * weight
    return result


@pytest.mark.parametrize(
    ("k1", "k2", "weight"),
    [(20, 6, 0.3), (4, 3, 0.5), (5, 1, 0.0), (1, 1, 0.3), (99, 99, 0.2), (2, 6, 0.3)],
)
@pytest.mark.parametrize("entries", [50, 1 << 22])
def test_reranking_equals_the_slow_implementation(k1, k2, weight, entries, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_ENTRIES", entries)
    rng = np.random.default_rng(k1)
    centers = rng.standard_normal((6, 4)) * 2
    values = (centers[rng.integers(0, 6, 45)] + rng.standard_normal((45, 4))).astype(np.float32)
    advances: list[int] = []
    block = rerank_block(
        StripDistances(values),
        np.arange(15),
        np.arange(15, 45),
        Reranking(k1, k2, weight),
        advances.append,
    )
    result = torch.cat([block(torch.arange(0, 7)), block(torch.arange(7, 15))]).numpy()
    np.testing.assert_allclose(
        result, slow(values.astype(np.float64), 15, k1, k2, weight), rtol=1e-9, atol=1e-9
    )
    assert sum(advances) == 2 * 45


def test_equal_embeddings_can_be_reranked():
    block = rerank_block(
        StripDistances(np.ones((6, 2, 1), np.float32)), np.arange(2), np.arange(2, 6), Reranking()
    )
    assert torch.isfinite(block(torch.arange(2))).all()


@pytest.mark.parametrize("wrong", [{"k1": 0}, {"k2": 0}, {"weight": 1.5}, {"weight": -0.1}])
def test_invalid_constants_are_refused(wrong):
    with pytest.raises(UsageError, match="is invalid"):
        Reranking(**wrong)
