"""The curves against plain loops, and against the Rank-k that tables show."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.evaluation.score import score
from core.manifests import load_manifest
from core.metrics.cmc import DEPTH, gallery_cmc, pair_cmc
from core.metrics.ranking import NO_MATCH
from core.records import EmbeddingSet


def loop_over_cells(keys, far, probes, gallery, depth):
    """Mean over cells of two different views, one probe and one k at a time."""
    views = sorted({key[2] for key in keys})
    curves = []
    for a in views:
        for b in views:
            some = [i for i in probes if keys[i][2] == a]
            among = [j for j in gallery if keys[j][2] == b]
            if a == b or not some or not among:
                continue
            curve = []
            for k in range(1, depth + 1):
                right = 0
                for i in some:
                    first = sorted(among, key=lambda j: far[i, j])[:k]
                    right += any(keys[j][0] == keys[i][0] for j in first)
                curve.append(right / len(some))
            curves.append(curve)
    return [sum(curve[k] for curve in curves) / len(curves) for k in range(depth)]


def loop_over_probes(keys, far, probes, gallery, depth):
    """Probes with a match in the gallery less their own subject at their own view."""
    firsts = []
    for i in probes:
        among = [j for j in gallery if keys[j][0] != keys[i][0] or keys[j][2] != keys[i][2]]
        order = sorted(among, key=lambda j: far[i, j])
        places = [at for at, j in enumerate(order, 1) if keys[j][0] == keys[i][0]]
        firsts += places[:1]
    return [sum(first <= k for first in firsts) / len(firsts) for k in range(1, depth + 1)]


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 2**32 - 1), subjects=st.integers(2, 9), left_out=st.floats(0, 0.4))
def test_both_curves_equal_plain_loops(seed, subjects, left_out):
    rng = np.random.default_rng(seed)
    manifest = load_manifest("casiab")
    keys = [
        (subject, kind, view)
        for subject in manifest.subjects.test[:subjects]
        for kind in ("nm-01", "nm-02", "nm-05", "bg-02")
        for view in ("000", "090", "180")
        if rng.random() >= left_out
    ] + [("075", "nm-01", "036"), ("075", "nm-05", "054")]
    keys += [("075", "nm-02", "036")]
    values = rng.normal(size=(len(keys), 4, 2)).astype(np.float32)
    labels, types, places = (tuple(column) for column in zip(*keys, strict=True))
    result = score(EmbeddingSet(values, labels, types, places), manifest)
    far = np.sqrt(((values[:, None].astype(float) - values[None]) ** 2).sum(2)).mean(2)

    def of(*kinds):
        return [i for i, key in enumerate(keys) if key[1] in kinds]

    pairs = result.protocols["single_view"].conditions["NM"]
    four = of("nm-01", "nm-02", "nm-03", "nm-04")
    expected = loop_over_cells(keys, far, of("nm-05", "nm-06"), four, DEPTH)
    assert np.array(pairs.cmc) / 100 == pytest.approx(np.array(expected))
    whole = result.protocols["cross_view"].conditions["NM"]
    expected = loop_over_probes(keys, far, of("nm-01"), of("nm-02", "bg-02", "cl-02"), DEPTH)
    assert np.array(whole.cmc) / 100 == pytest.approx(np.array(expected))
    for part in (pairs, whole):
        assert part.cmc[0] == pytest.approx(part.values["rank1"])
        assert part.cmc[4] == pytest.approx(part.values["rank5"])
        assert list(part.cmc) == sorted(part.cmc)
        assert part.to_json()["cmc"] == list(part.cmc)


def test_curves_by_hand():
    rank = np.array([[0, 5, 9], [1, 0, NO_MATCH]])
    view = np.array([0, 1])
    # Cells (0, 1) and (1, 0) are searched; view 2 has no gallery.
    curve = pair_cmc(rank, view, np.array([True, True, False]), depth=6)
    assert curve.tolist() == [0, 0.5, 0.5, 0.5, 0.5, 1]
    assert gallery_cmc(np.array([0, 2, NO_MATCH]), depth=3).tolist() == [0.5, 0.5, 1]


def test_the_curve_is_nan_where_nothing_is_counted():
    none = np.zeros((0, 2), np.int64)
    assert np.isnan(pair_cmc(none, none[:, 0], np.array([True, True]))).all()
    assert np.isnan(gallery_cmc(np.array([NO_MATCH]))).all()
    keys = [("075", "nm-01", "000"), ("076", "nm-05", "000")]
    labels, types, views = (tuple(column) for column in zip(*keys, strict=True))
    given_set = EmbeddingSet(np.eye(2, dtype=np.float32)[:, :, None], labels, types, views)
    result = score(given_set, load_manifest("casiab"))
    empty = result.protocols["single_view"].conditions["CL"]
    assert empty.cmc == ()
    assert "cmc" not in empty.to_json()
    assert not any(
        math.isnan(v) for c in result.protocols["single_view"].conditions.values() for v in c.cmc
    )


def test_curves_go_to_rank_20():
    assert DEPTH == 20
    assert gallery_cmc(np.array([0])).tolist() == [1] * 20
