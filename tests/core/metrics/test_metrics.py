from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import DataError, UsageError
from core.metrics import blocks
from core.metrics import distance as distance_module
from core.metrics.blocks import row_blocks
from core.metrics.distance import StripDistances, distances
from core.metrics.ranking import (
    NO_MATCH,
    average_precision,
    best_match_ranks,
    gallery_scores,
    rank_k,
    ranked,
)
from core.metrics.search import Codes, search
from core.metrics.tally import GalleryTally, PairTally, interval, resamples


def direct(a: np.ndarray, b: np.ndarray, metric: str) -> np.ndarray:
    a, b = a.astype(np.float64), b.astype(np.float64)
    if metric == "euclidean":
        return np.asarray(np.sqrt(((a[:, None] - b[None]) ** 2).sum(2)).mean(2))
    a = a / np.linalg.norm(a, axis=1, keepdims=True)
    b = b / np.linalg.norm(b, axis=1, keepdims=True)
    return np.asarray(1 - (a[:, None] * b[None]).sum(2).mean(2))


def tensor(*rows: list[float]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float64)


# Distances


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_distances_equal_the_definition(metric, offset):
    rng = np.random.default_rng(0)
    a, b = ((rng.standard_normal((n, 7, 3)) + offset).astype(np.float32) for n in (300, 40))
    result = distances(a, b, metric).numpy()
    assert result.dtype == np.float64
    np.testing.assert_allclose(result, direct(a, b, metric), rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_equal_embeddings_have_distance_zero_and_equal_distances(metric):
    rng = np.random.default_rng(1)
    base = (rng.standard_normal((5, 9, 4)) + 300).astype(np.float32)
    gallery = base[rng.integers(0, 5, 700)]
    result = distances(base, gallery, metric)
    same = torch.from_numpy((base[:, None] == gallery[None]).all((2, 3)))
    assert bool((result[same] == 0).all())
    assert bool((result[~same] > 0).all())
    for row in result:
        assert len(torch.unique((row * 1e12).round())) == 5


def test_near_duplicates_keep_their_digits():
    a = np.full((1, 64, 1), 1000.0, np.float32)
    b = np.repeat(a, 3, axis=0)
    b[1, 0] = np.nextafter(np.float32(1000), np.float32(2000))
    b[2] = -1000
    step = float(b[1, 0, 0]) - 1000
    np.testing.assert_allclose(
        distances(a, b).numpy()[0], [0, step, np.sqrt(64.0) * 2000], rtol=1e-12
    )


def test_flat_embeddings_are_one_strip_and_zero_has_cosine_zero():
    a, b = np.array([[3.0, 4.0]], np.float32), np.array([[0, 0], [3, 4], [-3, -4]], np.float32)
    np.testing.assert_allclose(distances(a, b).numpy(), [[5, 0, 10]])
    np.testing.assert_allclose(distances(a, b, "cosine").numpy(), [[1, 0, 2]])
    np.testing.assert_array_equal(distances(b[:1], b[:1], "cosine").numpy(), [[1]])


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_sizes_of_tiles_do_not_change_anything(metric, monkeypatch):
    rng = np.random.default_rng(2)
    values = np.round(rng.standard_normal((50, 6, 3)) * 2).astype(np.float32)
    whole = distances(values[:20], values[20:], metric)
    monkeypatch.setattr(distance_module, "_TILE_ROWS", 3)
    monkeypatch.setattr(distance_module, "_TILE_ENTRIES", 21)
    monkeypatch.setattr(distance_module, "_RESIDENT_ENTRIES", 100)
    torch.testing.assert_close(
        distances(values[:20], values[20:], metric), whole, rtol=1e-12, atol=1e-14
    )


def test_blocks_cover_all_rows_in_bounded_pieces():
    result = list(row_blocks(10, blocks.BLOCK_ENTRIES // 4))
    assert [(block.start, block.stop) for block in result] == [(0, 4), (4, 8), (8, 10)]
    assert [block.stop for block in row_blocks(2, 10**9)] == [1, 2]
    assert list(row_blocks(0, 5)) == []


@pytest.mark.parametrize(
    ("values", "metric", "error", "words"),
    [
        (np.zeros((2, 3, 4), np.float32), "manhattan", UsageError, "euclidean or cosine"),
        (np.zeros(3, np.float32), "euclidean", DataError, "have to be"),
        (np.zeros((2, 0, 4), np.float32), "euclidean", DataError, "have to be"),
        (np.full((2, 3), np.nan, np.float32), "cosine", DataError, "finite"),
    ],
)
def test_malformed_embeddings_are_refused(values, metric, error, words):
    with pytest.raises(error, match=words):
        StripDistances(values, metric)


def test_sides_of_other_shapes_are_refused():
    with pytest.raises(DataError, match=r"\[3, 4\]"):
        distances(np.zeros((2, 3, 4), np.float32), np.zeros((2, 3, 5), np.float32))


# Ranks


def test_average_precision_and_minp_by_hand():
    # Matches at positions 1, 3 and 6: AP = (1/1 + 2/3 + 3/6) / 3, INP = 3/6.
    far = tensor([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    match = torch.tensor([[True, False, True, False, False, True]])
    none = torch.zeros_like(match)
    scores = gallery_scores(far, match, none)
    assert scores.precision[0] == pytest.approx((1 + 2 / 3 + 1 / 2) / 3)
    assert scores.inverse_penalty[0] == pytest.approx(0.5)
    assert (scores.rank[0], scores.chance[0]) == (0, 0.5)
    # Without the first: positions 2 and 5 of five.
    scores = gallery_scores(far, match, torch.tensor([[True] + [False] * 5]))
    assert scores.precision[0] == pytest.approx((1 / 2 + 2 / 5) / 2)
    assert scores.inverse_penalty[0] == pytest.approx(2 / 5)
    assert (scores.rank[0], scores.chance[0]) == (1, 0.4)


def test_a_probe_without_a_match():
    far, match = tensor([1, 2], [2, 1]), torch.tensor([[False, False], [False, True]])
    scores = gallery_scores(far, match, torch.zeros_like(match))
    assert scores.rank.tolist() == [NO_MATCH, 0]
    assert np.isnan(scores.precision[0])
    assert np.isnan(scores.inverse_penalty[0])
    assert scores.chance.tolist() == [0.0, 0.5]
    assert np.isnan(average_precision(far, match)[0])
    assert best_match_ranks(far, match).tolist() == [NO_MATCH, 0]
    assert rank_k(far, match, 1) == 0.5
    all_entries = torch.ones_like(match)
    assert gallery_scores(far, match, all_entries).chance.tolist() == [0.0, 0.0]


def test_ties_keep_gallery_order_regardless_of_matches():
    far = tensor([1, 1, 1, 0.5, 2])
    for place, rank in ((0, 1), (1, 2), (2, 3), (3, 0), (4, 4)):
        match = torch.zeros(1, 5, dtype=torch.bool)
        match[0, place] = True
        assert best_match_ranks(far, match).item() == rank
        assert gallery_scores(far, match, torch.zeros_like(match)).rank[0] == rank
    noisy = far * (1 + 1e-13 * torch.tensor([3.0, 1.0, -2.0, 0, 0]))
    assert ranked(noisy).tolist() == [[3, 0, 1, 2, 4]]
    assert ranked(tensor([1 + 1e-8, 1.0])).tolist() == [[1, 0]]


def test_an_empty_gallery_matches_nothing():
    far, match = torch.zeros(2, 0, dtype=torch.float64), torch.zeros(2, 0, dtype=torch.bool)
    assert best_match_ranks(far, match).tolist() == [NO_MATCH] * 2
    scores = gallery_scores(far, match, match)
    assert scores.rank.tolist() == [NO_MATCH] * 2
    assert scores.chance.tolist() == [0.0, 0.0]


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), columns=st.integers(1, 12), levels=st.integers(1, 20))
def test_ranks_equal_a_sort_of_pairs(seed, columns, levels):
    rng = np.random.default_rng(seed)
    far = rng.integers(0, levels, (6, columns)) / 7
    match, excluded = rng.random((2, 6, columns)) < 0.4
    noisy = torch.from_numpy(far * (1 + 1e-14 * rng.standard_normal(far.shape)))
    scores = gallery_scores(noisy, torch.from_numpy(match), torch.from_numpy(excluded))
    best = best_match_ranks(noisy, torch.from_numpy(match))
    for row in range(6):
        order = sorted(range(columns), key=lambda j: (far[row, j], j))
        hits = [match[row, j] for j in order]
        assert best[row] == (hits.index(True) if any(hits) else NO_MATCH)
        hits = [match[row, j] for j in order if not excluded[row, j]]
        result = [position for position, hit in enumerate(hits) if hit]
        assert scores.rank[row] == (result[0] if result else NO_MATCH)
        if result:
            parts = [(nth + 1) / (position + 1) for nth, position in enumerate(result)]
            assert scores.precision[row] == pytest.approx(np.mean(parts), abs=1e-12)
            assert scores.inverse_penalty[row] == pytest.approx(len(result) / (result[-1] + 1))
            assert scores.chance[row] == pytest.approx(len(result) / len(hits))


@pytest.mark.parametrize("entries", [1, 7, 10**6])
def test_blocks_of_a_search_do_not_change_it(entries, monkeypatch):
    rng = np.random.default_rng(3)
    values = StripDistances(np.round(rng.standard_normal((60, 3, 2)), 1).astype(np.float32))
    codes = Codes(rng.integers(0, 5, 60), rng.integers(0, 4, 60))
    probes, gallery = np.arange(25), np.arange(25, 60)
    advances: list[int] = []

    def run():
        columns = torch.from_numpy(gallery)
        return search(
            lambda rows: values.between(rows, columns),
            codes,
            probes,
            gallery,
            4,
            advance=advances.append,
        )

    whole = run()
    monkeypatch.setattr(blocks, "BLOCK_ENTRIES", entries)
    parts = run()
    assert sum(advances) == 50
    np.testing.assert_array_equal(whole.rank, parts.rank)
    np.testing.assert_array_equal(whole.chance, parts.chance)
    for name in ("rank", "precision", "inverse_penalty", "chance"):
        np.testing.assert_array_equal(getattr(whole.whole, name), getattr(parts.whole, name))
    empty = np.arange(0)
    no_probes = search(lambda _: torch.zeros(0, 35), codes, empty, gallery, 4)
    assert no_probes.whole is not None
    assert len(no_probes.whole.rank) == 0


# Tallies


def test_pair_tally_by_hand():
    # Two views; probes: two at view 0, one at view 1; gallery at both views.
    rank = np.array([[0, 0], [0, 7], [2, NO_MATCH]])
    chance = np.array([[1, 0.5], [1, 0.1], [0.25, 0]])
    tally = PairTally(
        rank, chance, np.array([0, 1, 1]), np.array([0, 0, 1]), np.array([True, True]), 2
    )
    values = {name: value[0] for name, value in tally.values().items()}
    assert values == pytest.approx(
        {
            "rank1": (1 / 2 + 0) / 2,
            "rank5": (1 / 2 + 1) / 2,
            "rank10": (1 + 1) / 2,
            "chance": (0.3 + 0.25) / 2,
        }
    )
    assert (tally.searches, tally.unmatched) == (3, 0)
    assert tally.matrix("rank1").tolist() == [[1.0, 0.5], [0.0, 0.0]]
    weighted = tally.values(np.array([[1.0, 0.0], [0.0, 2.0]]))
    # Subject 0 alone: cell (0, 1) right, cell (1, 0) empty. Subject 1 alone: wrong in both.
    assert weighted["rank1"].tolist() == [1.0, 0.0]


def test_a_pair_tally_may_skip_searches_without_a_match():
    rank = np.array([[9, 0], [9, NO_MATCH], [NO_MATCH, 0], [NO_MATCH, 9]])
    chance = np.array([[0.5, 0.4], [0.5, 0.0], [0.0, 0.2], [0.0, 0.2]])
    arguments = (rank, chance, np.arange(4), np.array([0, 0, 1, 1]), np.array([True, True]), 4)
    left_out, errors = PairTally(*arguments, unmatched="left_out"), PairTally(*arguments)
    # Cell (0, 1) has one of two probes left, cell (1, 0) none: it is empty.
    assert (left_out.searches, left_out.unmatched) == (1, 3)
    assert (errors.searches, errors.unmatched) == (4, 3)
    assert left_out.values()["rank1"].tolist() == [1.0]
    assert left_out.values()["chance"].tolist() == [0.4]
    assert errors.values()["rank1"].tolist() == [0.25]
    assert left_out.filled.tolist() == [[True, True], [False, True]]
    assert (left_out.cmc[0], errors.cmc[0]) == (1.0, 0.25)


def test_a_cell_without_gallery_is_empty_and_not_an_error():
    rank = np.array([[0, NO_MATCH], [NO_MATCH, 0]])
    tally = PairTally(
        rank, np.zeros((2, 2)), np.array([0, 0]), np.array([0, 1]), np.array([True, False]), 1
    )
    assert tally.filled.tolist() == [[True, False], [True, False]]
    assert tally.values()["rank1"].tolist() == [0.0]
    assert (tally.searches, tally.unmatched) == (1, 1)
    assert np.isnan(tally.matrix("rank5")[:, 1]).all()
    empty = PairTally(rank[:0], np.zeros((0, 2)), rank[:0, 0], rank[:0, 0], np.ones(2, bool), 1)
    assert np.isnan(empty.values()["rank1"][0])


def test_gallery_tally_skips_probes_without_a_match():
    far = tensor([1, 2, 3], [1, 2, 3], [1, 2, 3])
    match = torch.tensor([[0, 1, 0], [0, 0, 0], [1, 0, 1]], dtype=torch.bool)
    scores = gallery_scores(far, match, torch.zeros_like(match))
    tally = GalleryTally(scores, np.array([0, 0, 1]), 3)
    values = {name: value[0] for name, value in tally.values().items()}
    assert values == pytest.approx(
        {
            "rank1": 0.5,
            "rank5": 1.0,
            "rank10": 1.0,
            "mAP": (1 / 2 + 5 / 6) / 2,
            "mINP": (1 / 2 + 2 / 3) / 2,
            "chance": 0.5,
        }
    )
    assert (tally.searches, tally.unmatched) == (2, 1)
    resampled = tally.values(np.array([[2.0, 0, 0], [0, 0, 3.0]]))
    assert resampled["rank1"][0] == 0.0
    assert np.isnan(resampled["rank1"][1])


def test_resamples_draw_subjects_with_replacement_by_seed():
    weights = resamples(7, 50, seed=3)
    assert weights.shape == (50, 7)
    assert (weights.sum(1) == 7).all()
    assert weights.max() > 1
    np.testing.assert_array_equal(weights, resamples(7, 50, seed=3))
    assert (weights != resamples(7, 50, seed=4)).any()
    assert interval(np.array([np.nan, 0.0, 0.5, 1.0])) == pytest.approx((2.5, 97.5))
    assert interval(np.array([np.nan])) is None
