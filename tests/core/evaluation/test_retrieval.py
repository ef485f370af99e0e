"""Which probes are shown, and what they find, against plain loops."""

import numpy as np
import pytest

from core.evaluation.retrieval import EACH, NEAREST, default_protocol, evenly_spaced, retrievals
from core.evaluation.score import score
from core.manifests import load_manifest
from core.records import EmbeddingSet

MANIFEST = load_manifest("casiab")


def embeddings(noise, subjects=6, kinds=("nm-01", "nm-02", "bg-01", "cl-02")):
    """Subjects apart by less or more noise, in an order that is nobody's; one is of training."""
    rng = np.random.default_rng(3)
    keys = [
        (subject, kind, view)
        for subject in ("001", *MANIFEST.subjects.test[:subjects])
        for kind in kinds
        for view in ("000", "090", "180")
    ]
    middle = {subject: rng.normal(size=(4, 2)) for subject, _, _ in keys}
    values = np.stack([middle[s] + noise * rng.normal(size=(4, 2)) for s, _, _ in keys])
    labels, types, views = (tuple(column) for column in zip(*keys, strict=True))
    return keys, EmbeddingSet(values.astype(np.float32), labels, types, views)


def test_lists_equal_plain_loops_and_shares_those_of_the_table():
    keys, given = embeddings(0.9)
    assert default_protocol(MANIFEST) == "cross_view"
    found = retrievals(given, MANIFEST, "cross_view", "euclidean")
    result = score(given, MANIFEST).protocols["cross_view"]
    values = given.embeddings.astype(float)
    for condition in found:
        part = result.conditions[condition.condition]
        if part.values["rank1"] is None:
            assert condition.probes == 0
            assert condition.shown == ()
            continue
        assert 100 * condition.right / condition.probes == pytest.approx(part.values["rank1"])
        kind = {"NM": "nm-01", "BG": "bg-01"}[condition.condition]
        for one in condition.shown:
            subject, type_, view = keys[one.place]
            assert type_ == kind
            far = {
                j: np.sqrt(((values[one.place] - values[j]) ** 2).sum(0)).mean()
                for j, key in enumerate(keys)
                if key[1] in ("nm-02", "bg-02", "cl-02")
                and key[0] != "001"
                and (key[0] != subject or key[2] != view)
            }
            order = sorted(far, key=far.__getitem__)
            assert [hit.place for hit in one.nearest] == order[:NEAREST]
            assert [hit.distance for hit in one.nearest] == pytest.approx(
                [far[j] for j in order[:NEAREST]]
            )
            rights = [keys[j][0] == subject for j in order]
            assert [hit.right for hit in one.nearest] == rights[:NEAREST]
            assert one.first_right.rank == rights.index(True) + 1
            assert one.first_right.place == order[rights.index(True)]
            assert one.gallery == len(order)


def test_as_many_right_as_wrong_probes_in_order_where_there_are_enough():
    _, given = embeddings(0.9)
    found = retrievals(given, MANIFEST, "cross_view", "euclidean")[0]
    assert min(found.right, found.probes - found.right) >= EACH
    assert [one.right for one in found.shown].count(True) == EACH
    assert len(found.shown) == 2 * EACH
    places = [one.place for one in found.shown]
    assert places == sorted(set(places))


@pytest.mark.parametrize(("noise", "right"), [(0.0, True), (100.0, None)])
def test_one_kind_fills_up_for_the_other(noise, right):
    _, given = embeddings(noise)
    found = retrievals(given, MANIFEST, "cross_view", "cosine")[0]
    assert len(found.shown) == 2 * EACH
    if right:
        assert found.right == found.probes
        assert all(one.right for one in found.shown)


def test_a_gallery_without_matches_gives_no_retrievals():
    _, given = embeddings(0.5, kinds=("nm-01",))
    found = retrievals(given, MANIFEST, "cross_view", "euclidean")
    assert [(one.condition, one.probes, one.shown) for one in found] == [
        ("NM", 0, ()),
        ("BG", 0, ()),
        ("CL", 0, ()),
    ]


def test_spread_is_even_and_in_order():
    assert evenly_spaced(range(10), 2) == [2, 7]
    assert evenly_spaced([1, 2], 5) == [1, 2]
    assert evenly_spaced([], 3) == []
