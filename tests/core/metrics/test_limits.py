"""Numbers at their limits: ties, closeness, ends of ranges, defaults."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from core.errors import DataError
from core.metrics import distance as distance_module
from core.metrics.coverage import coverage
from core.metrics.distance import StripDistances, distances
from core.metrics.ranking import (
    NO_MATCH,
    GalleryScores,
    average_precision,
    best_match_ranks,
    gallery_scores,
    rank_k,
    ranked,
)
from core.metrics.rerank import Reranking, rerank_block
from core.metrics.results import VALUES, CellCoverage, Coverage, EvaluationResult
from core.metrics.search import Codes, search
from core.metrics.summary import Counted, protocol_result, with_cells
from core.metrics.tally import RANKS, GalleryTally, PairTally, interval, mean_of


def tensor(*rows: list[float]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float64)


@pytest.mark.parametrize(("apart", "tied"), [(0.9e-10, True), (1.1e-10, False)])
def test_a_tie_is_a_relative_difference_of_1e_10(apart, tied):
    far = tensor([5 * (1 + apart), 5.0])
    assert ranked(far).tolist() == [[0, 1] if tied else [1, 0]]
    match = torch.tensor([[False, True]])
    assert best_match_ranks(far, match).item() == int(tied)
    assert gallery_scores(far, match, torch.zeros_like(match)).rank[0] == int(tied)
    before = tensor([5.0, 5 * (1 + apart)])
    assert best_match_ranks(before, match).item() == 1


def test_a_difference_of_just_1e_10_is_a_tie():
    far = tensor([1e10, 1e10 - 1])
    assert ranked(far).tolist() == [[0, 1]]
    for place in (0, 1):
        match = torch.arange(2)[None] == place
        assert best_match_ranks(far, match).item() == place


def test_a_tie_leaves_other_ranks_unchanged():
    far = tensor([3.0, 1.0, 2.0, 1.0, 1.0])
    assert ranked(far).tolist() == [[1, 3, 4, 2, 0]]
    for place, rank in ((0, 4), (1, 0), (2, 3), (3, 1), (4, 2)):
        match = torch.arange(5)[None] == place
        assert best_match_ranks(far, match).item() == rank
    # Some rows with ties, some without, in one block.
    mixed = torch.cat([far, tensor([0.5, 0.4, 0.3, 0.2, 0.1]), far])
    assert ranked(mixed).tolist() == [[1, 3, 4, 2, 0], [4, 3, 2, 1, 0], [1, 3, 4, 2, 0]]


def test_excluded_entries_do_not_tie():
    far = tensor([torch.inf, 2.0, torch.inf, 1.0])
    match = torch.tensor([[True, True, False, False]])
    assert best_match_ranks(far, match).item() == 1
    assert ranked(far).tolist() == [[3, 1, 0, 2]]


def test_excluded_entries_keep_their_order_behind_all_others():
    far = torch.full((1, 1000), torch.inf)
    far[0, 500] = 1.0
    order = [500, *(place for place in range(1000) if place != 500)]
    assert ranked(far).tolist() == [order]


def test_single_metrics_exclude_nothing():
    far, match = tensor([1, 2]), torch.tensor([[False, True]])
    assert average_precision(far, match).tolist() == [0.5]
    assert [rank_k(far, match, k) for k in (1, 2)] == [0, 1]


def test_a_near_pair_in_a_wide_set_keeps_its_digits():
    rng = np.random.default_rng(7)
    values = rng.standard_normal((20, 16)) * 1e4
    near = values[:1].copy()
    near[0, 3] += 2.0**-7
    result = distances(near, values)[0, 0].item()
    assert result == pytest.approx(near[0, 3] - values[0, 3], rel=1e-12)


def fail_on_correction(*arguments):
    raise AssertionError("differences were computed although no pair is close")


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_an_offset_from_the_origin_triggers_no_correction(offset, monkeypatch):
    monkeypatch.setattr(StripDistances, "_correct", fail_on_correction)
    values = np.random.default_rng(8).standard_normal((60, 32, 2)) + offset
    assert distances(values[:20], values[20:]).min() > 1


def test_a_far_probe_triggers_no_correction_of_others(monkeypatch):
    monkeypatch.setattr(StripDistances, "_correct", fail_on_correction)
    probe = np.array([[1e4, 0.0], [-1e4, 0.0], [0.0, 1.0]])
    gallery = np.array([[0.0, -1.0], [0.0, 0.0]])
    far = np.hypot(1e4, 1)
    assert distances(probe, gallery).numpy() == pytest.approx(
        np.array([[far, 1e4], [far, 1e4], [2, 1]]), rel=1e-10
    )


@pytest.mark.parametrize(
    ("entries", "entries_in_memory", "pieces"),
    [
        (21, 10**6, [7, 7, 6]),
        (10**6, 40, [5, 5, 5, 5]),
        (10**6, 47, [5, 5, 5, 5]),
        (10**6, 48, [6, 6, 6, 2]),
        (1, 10**6, [1] * 20),
        (10**6, 1, [1] * 20),
    ],
)
def test_a_gallery_is_processed_in_pieces_of_bounded_size(
    entries, entries_in_memory, pieces, monkeypatch
):
    monkeypatch.setattr(distance_module, "_TILE_ROWS", 3)
    monkeypatch.setattr(distance_module, "_TILE_ENTRIES", entries)
    monkeypatch.setattr(distance_module, "_RESIDENT_ENTRIES", entries_in_memory)
    original, sizes = StripDistances._add_strip, []

    def add_strip(self, total, left, right, middle):
        sizes.append(len(right))
        original(self, total, left, right, middle)

    monkeypatch.setattr(StripDistances, "_add_strip", add_strip)
    values = np.random.default_rng(9).standard_normal((25, 6))
    distances(values[:5], values[5:])
    assert sizes == pieces


@pytest.mark.parametrize(
    ("entries_in_memory", "pieces"), [(100, [4] * 5), (119, [4] * 5), (1, [1] * 20)]
)
def test_differences_are_computed_in_pieces_of_bounded_size(entries_in_memory, pieces, monkeypatch):
    original, sizes = distance_module._unit, []

    def unit(rows):
        sizes.append(len(rows))
        return original(rows)

    values = torch.from_numpy(np.random.default_rng(10).standard_normal((9, 6)))
    close = StripDistances(values, "cosine")
    squared = torch.zeros(4, 5, dtype=torch.float64)
    monkeypatch.setattr(distance_module, "_unit", unit)
    monkeypatch.setattr(distance_module, "_RESIDENT_ENTRIES", entries_in_memory)
    close._correct(squared, values[:4], values[4:], torch.full((4, 5), 2.0))
    assert sizes[::2] == sizes[1::2] == pieces
    np.testing.assert_allclose(squared / 2, distances(values[:4], values[4:], "cosine"))


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_a_single_value_that_is_not_finite_is_refused(wrong):
    values = np.zeros((3, 2, 2), np.float32)
    values[1, 0, 1] = wrong
    with pytest.raises(DataError, match="finite"):
        StripDistances(values)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_one_close_pair_among_far_ones_is_exact(metric):
    rng = np.random.default_rng(5)
    probe = (rng.standard_normal((40, 16, 2)) * 50 + 20).astype(np.float32)
    gallery = (rng.standard_normal((30, 16, 2)) * 50 + 20).astype(np.float32)
    gallery[7] = probe[3]
    result = distances(probe, gallery, metric)
    assert result[3, 7].item() == 0
    assert int((result == 0).sum()) == 1


def test_short_vectors_have_the_cosine_of_their_direction():
    a = np.array([[0.01, 0.0], [0.0, 0.5]], np.float32)
    np.testing.assert_allclose(distances(a, a[::-1].copy(), "cosine"), [[1, 0], [0, 1]])


def test_distances_are_computed_on_the_requested_device():
    values = np.ones((3, 2, 2), np.float32)
    assert StripDistances(values).device.type == "cpu"
    assert StripDistances(values, device="meta").device.type == "meta"
    assert StripDistances(values).width == 2


def test_the_paper_s_constants_are_the_defaults_and_the_ends_are_allowed():
    assert Reranking() == Reranking(k1=20, k2=6, weight=0.3)
    assert Reranking(1, 1, 0.0).weight == 0
    assert Reranking(1, 1, 1.0).weight == 1


def test_a_weight_of_one_leaves_the_scaled_distances():
    values = np.array([[0.0], [1.0], [3.0], [0.1]], np.float32)
    probes, gallery = np.arange(2), np.arange(2, 4)
    block = rerank_block(StripDistances(values), probes, gallery, Reranking(2, 2, 1.0))
    np.testing.assert_allclose(block(torch.arange(2)), [[1, 0.01 / 9], [1, 0.81 / 4]], rtol=1e-6)
    rerank = rerank_block(
        StripDistances(np.ones((4, 2, 1), np.float32)), probes, gallery, Reranking(2, 2, 1.0)
    )
    assert rerank(torch.arange(2)).tolist() == [[0, 0], [0, 0]]


def test_a_search_scores_pairs_and_the_whole_gallery_by_default():
    values = StripDistances(np.arange(6, dtype=np.float32)[:, None])
    codes = Codes(np.array([0, 1, 0, 1, 0, 1]), np.array([0, 0, 1, 1, 2, 2]))
    probes, gallery = np.array([0, 1]), np.array([2, 3, 4, 5])
    columns = torch.from_numpy(gallery)

    def block(rows):
        return values.between(rows, columns)

    result = search(block, codes, probes, gallery, 3)
    assert result.whole is not None
    assert result.rank[:, 1:].tolist() == [[0, 0], [1, 1]]
    assert result.chance.tolist() == [[0, 0.5, 0.5], [0, 0.5, 0.5]]
    whole_only = search(block, codes, probes, gallery, 3, pairs=False)
    assert (whole_only.rank.shape, whole_only.chance.shape) == ((2, 0), (2, 0))
    assert search(block, codes, probes, gallery, 3, whole=False).whole is None


def test_coverage_by_hand():
    keys = [("a", "x", "0"), ("a", "x", "0"), ("a", "y", "9"), ("z", "x", "0"), ("z", "y", "0")]
    result = coverage(keys, ["a", "b"], ["x", "y"], ["0", "1"])
    assert result.subjects == (2, 1)
    assert result.sequences == (8, 1)
    assert result.missing[:2] == ("a/x/1", "a/y/0")
    assert (result.embeddings, result.left_out, result.unexpected_views) == (5, 2, ("9",))
    opened = coverage(keys, ["a", "b"], ["x", "y"], ["0", "1"], open_types=True)
    assert opened.sequences == (4, 1)
    assert opened.missing == ("a/x/1", "a/y/0", "a/y/1")
    grouped = coverage([("a", "x", "0_1")], ["a"], ["x"], ["0"], group=lambda view: view[0])
    assert grouped.missing == ()


def test_optional_fields_of_a_result_have_neutral_defaults():
    coverage_counts = Coverage((1, 1), (1, 1), (), 1, 0, ())
    assert coverage_counts.cells == (0, 0)
    assert coverage_counts.complete
    content = EvaluationResult("d", "D", "euclidean", False, coverage_counts, {}).to_json()
    assert (content["format"], content["bootstrap"]) == (1, {"resamples": 0, "seed": 0})
    assert CellCoverage(2, 1, (("a", "b"),)).to_json() == {
        "expected": 2,
        "found": 1,
        "empty": [["a", "b"]],
        "extra": 0,
    }


def test_coverage_json_has_expected_and_present_counts():
    content = Coverage((9, 8), (7, 6), ("a/x/0",), 5, 4, ("1",), (3, 2)).to_json()
    assert content == {
        "subjects": {"expected": 9, "found": 8},
        "sequences": {"expected": 7, "found": 6},
        "cells": {"expected": 3, "found": 2},
        "embeddings": 5,
        "left_out": 4,
        "unexpected_views": ["1"],
        "missing": ["a/x/0"],
    }


@pytest.mark.parametrize("short", ["subjects", "sequences", "cells"])
def test_complete_requires_subjects_sequences_and_cells(short):
    pairs = {
        name: (2, 1) if name == short else (2, 2) for name in ("subjects", "sequences", "cells")
    }
    counts = Coverage(pairs["subjects"], pairs["sequences"], (), 1, 0, (), pairs["cells"])
    assert not counts.complete


def test_means_and_intervals_by_hand():
    assert RANKS == {"rank1": 1, "rank5": 5, "rank10": 10}
    parts = [{"rank1": np.array([0.2, 0.4])}, {"rank1": np.array([0.4, np.nan])}]
    mean = mean_of(parts)["rank1"]
    assert mean[0] == pytest.approx(0.3)
    assert np.isnan(mean[1])
    result = interval(np.linspace(0, 1, 1001))
    assert result == pytest.approx((2.5, 97.5))


def test_a_rank_of_k_is_beyond_rank_k():
    rank = np.array([[0, 10], [0, 9], [0, 4]])
    tally = PairTally(
        rank, np.zeros((3, 2)), np.array([0, 1, 2]), np.array([0, 0, 0]), np.ones(2, bool), 3
    )
    assert tally.matrix("rank1")[0].tolist() == [1, 0]
    assert tally.matrix("rank5")[0].tolist() == [1, 1 / 3]
    assert tally.matrix("rank10")[0].tolist() == [1, 2 / 3]
    scores = GalleryScores(rank[:, 1], *(np.full(3, 0.5),) * 3)
    values = GalleryTally(scores, np.array([0, 0, 1]), 2).values()
    assert {name: value.tolist() for name, value in values.items()} == {
        "rank1": [0],
        "rank5": [1 / 3],
        "rank10": [2 / 3],
        "mAP": [0.5],
        "mINP": [0.5],
        "chance": [0.5],
    }


def test_searches_are_counted_over_all_subjects_and_cells():
    # Five probes of four subjects, three views, the last of them without a gallery.
    rank = np.array([[0, 0, 9], [0, NO_MATCH, 9], [1, 1, 9], [NO_MATCH, 2, 9], [0, NO_MATCH, 9]])
    subject, view = np.array([0, 1, 2, 3, 3]), np.array([0, 0, 1, 1, 2])
    gallery = np.array([True, True, False])
    tally = PairTally(rank, np.full((5, 3), 0.25), subject, view, gallery, 4)
    assert tally.searches == 2 + 2 + 2
    assert tally.unmatched == 3
    assert tally.filled.tolist() == [[True, True, False]] * 3
    assert tally.matrix("rank1")[:, :2].tolist() == [[1, 0.5], [0, 0], [1, 0]]
    assert tally.values()["rank1"].tolist() == [(0.5 + 0 + 1 + 0) / 4]
    assert tally.values()["chance"].tolist() == [0.25]


def test_distances_of_small_embeddings_are_scaled_like_any():
    values = np.random.default_rng(0).standard_normal((12, 3)).astype(np.float32)
    probes, gallery = np.arange(4), np.arange(4, 12)
    large, small = (
        rerank_block(StripDistances(values * size), probes, gallery, Reranking(3, 2, 0.5))
        for size in (1.0, 2.0**-10)
    )
    np.testing.assert_allclose(small(torch.arange(4)), large(torch.arange(4)), rtol=1e-9)


def protocol(**changes):
    attributes = {
        "title": "T",
        "counting": "view_pairs",
        "official": True,
        "averaged": ("A",),
        "defined": ("rank1",),
        "unmatched": "error",
    }
    return SimpleNamespace(**{**attributes, **changes})


def test_cells_beyond_the_expected_views_are_extra():
    rank = np.array([[0, 0, 0], [0, 0, 0], [0, 0, 0]])
    tally = PairTally(
        rank,
        np.zeros((3, 3)),
        np.arange(3),
        np.array([0, 2, 2]),
        np.array([True, True, True]),
        3,
    )
    views = ("a", "b", "x")
    result = protocol_result(protocol(), {"A": Counted(tally, 3, 3)}, views, 2, None)
    part = result.conditions["A"]
    assert part.cells is not None
    assert (part.cells.expected, part.cells.filled) == (2, 1)
    assert part.cells.empty == (("b", "a"),)
    assert part.cells.extra == 3
    assert set(part.matrices) == {"rank1"}
    assert part.matrices["rank1"][0] == [100, 100, 100]
    assert part.matrices["rank1"][1] == [None, None, None]
    assert part.values == {**dict.fromkeys(VALUES), "rank1": 100}
    assert result.mean == part.values
    assert (part.intervals, result.mean_intervals) == ({}, {})
    assert (part.searches, part.without_match, part.chance) == (6, 0, 0)
    counts = Coverage((1, 1), (1, 1), (), 1, 0, ())
    assert with_cells(counts, {"one": result, "two": result}).cells == (4, 2)


def test_an_interval_without_resamples_is_omitted():
    scores = GalleryScores(np.array([0, 3]), *(np.array([1.0, 0.5]),) * 3)
    tally = GalleryTally(scores, np.array([0, 1]), 3)
    rules = protocol(counting="gallery", defined=("rank1", "mAP"))
    counted = {"A": Counted(tally, 2, 5)}
    nobody = protocol_result(rules, counted, (), 0, np.array([[0.0, 0.0, 2.0]]))
    assert nobody.conditions["A"].intervals == {}
    assert nobody.mean_intervals == {}
    weights = np.array([[2.0, 0, 0], [0, 2.0, 0]])
    result = protocol_result(rules, counted, (), 0, weights).conditions["A"]
    assert set(result.intervals) == {"rank1", "mAP"}
    assert result.intervals["mAP"] == pytest.approx((51.25, 98.75))
    assert result.values == {**dict.fromkeys(VALUES), "rank1": 50, "mAP": 75}
    assert result.cells is None
    assert "cells" not in result.to_json()
    assert result.to_json()["interval95"]["mAP"] == pytest.approx([51.25, 98.75])
