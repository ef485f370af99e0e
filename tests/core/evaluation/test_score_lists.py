"""Protocols of listed sequences, whole galleries and cells of matched probes, by plain loops."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.plain_evaluator import cosine, euclidean
from core.evaluation import scoring_set as tested
from core.evaluation.retrieval import retrievals
from core.evaluation.score import score
from core.manifests import DatasetManifest, load_manifest
from core.metrics.coverage import coverage
from core.metrics.distance import Metric
from core.progress import SilentProgress
from core.records import EmbeddingSet
from core.tables.build import result_tables

Key = tuple[str, str, str]
# What each file names: four people of each side, and the lists.
LISTS: dict[str, tuple[str, dict[str, list[str]]]] = {
    "gait3d": (
        "Gait3D.json",
        {
            "TRAIN_SET": ["0000"],
            "TEST_SET": ["3000", "3001", "3002", "3003"],
            "PROBE_SET": [f"300{n}-camid{n % 2}_videoid0-seq{n % 2}" for n in range(4)],
        },
    ),
    "ccgr_mini": (
        "CCGR-MINI.json",
        {
            "TRAIN_SET": ["1"],
            "TEST_SET": ["572", "573", "1000", "99"],
            "GALLERY_SET": [
                f"{s}-AS1-{v}.avi" for s in (572, 573, 1000, 99) for v in ("over", "0")
            ],
        },
    ),
    "oumvlp": (
        "OUMVLP.json",
        {"TRAIN_SET": ["00001"], "TEST_SET": ["00002", "00004", "00006", "10307"]},
    ),
}
SUBJECTS: dict[str, tuple[str, ...]] = {"grew": ("00001", "00002", "00003", "06000")}
SUBJECTS |= {name: tuple(lists["TEST_SET"]) for name, (_, lists) in LISTS.items()}
KINDS = {
    "gait3d": ("camid0_videoid0", "camid1_videoid0", "camid0_videoid7"),
    "ccgr_mini": ("AS1", "BGCRCLSU1"),
    "oumvlp": ("00", "01"),
    "grew": ("01", "02"),
}
VIEWS = {
    "gait3d": ("seq0", "seq1"),
    "ccgr_mini": ("over", "0", "67_5_2"),
    "oumvlp": ("000", "090", "270"),
}


@pytest.fixture(scope="module")
def manifests(tmp_path_factory) -> dict[str, DatasetManifest]:
    folder = tmp_path_factory.mktemp("partitions")
    manifests = {"grew": load_manifest("grew")}
    for name, (file, lists) in LISTS.items():
        (folder / file).write_text(json.dumps(lists), encoding="utf-8")
        manifests[name] = load_manifest(name, partition=folder / file)
    return manifests


def structure(dataset: str) -> list[Key]:
    if dataset == "grew":
        return [(s, k, f"{s}{k}") for s in SUBJECTS["grew"] for k in KINDS["grew"]]
    pairs = [(s, k) for s in SUBJECTS[dataset] for k in KINDS[dataset]]
    return [(s, k, v) for s, k in pairs for v in VIEWS[dataset]]


def is_probe(dataset: str, key: Key) -> bool:
    subject, kind, view = key
    if dataset == "gait3d":
        return f"{subject}-{kind}-{view}" in LISTS["gait3d"][1]["PROBE_SET"]
    if dataset == "ccgr_mini":
        return f"{subject}-{kind}-{view}.avi" not in LISTS["ccgr_mini"][1]["GALLERY_SET"]
    return kind == {"oumvlp": "00", "grew": "02"}[dataset]


def is_gallery(dataset: str, key: Key) -> bool:
    # Of each of these datasets the two sides share nothing and leave nothing.
    return not is_probe(dataset, key)


def ordered(values, keys, probe: int, gallery: list[int], distance) -> list[int]:
    """The gallery by rising distance, equal ones (up to rounding) in its order."""
    far = {j: round(distance(values[probe], values[j]), 9) for j in gallery}
    return sorted(gallery, key=lambda j: (far[j], j))


def whole_gallery(dataset, values, keys, distance) -> dict[str, float | None]:
    """Every probe among the whole gallery, the same view included."""
    gallery = [j for j, key in enumerate(keys) if is_gallery(dataset, key)]
    rows = []
    for i, key in enumerate(keys):
        if not is_probe(dataset, key):
            continue
        order = ordered(values, keys, i, gallery, distance)
        places = [at for at, j in enumerate(order, 1) if keys[j][0] == key[0]]
        if places:
            precision = sum(n / at for n, at in enumerate(places, 1)) / len(places)
            right = [float(places[0] <= k) for k in (1, 5, 10)]
            rows.append([*right, precision, len(places) / places[-1]])
    names = ("rank1", "rank5", "rank10", "mAP", "mINP")
    means = 100 * np.mean(rows, axis=0) if rows else [None] * 5
    return dict(zip(names, means, strict=True))


def cells(values, keys, distance, *, unmatched: str) -> tuple[dict[str, float | None], int, int]:
    """Rank-1 and Rank-5 of each pair of two views; how many are searched and without a match."""
    rows, searches, alone = [], 0, 0
    for a in VIEWS["oumvlp"]:
        for b in VIEWS["oumvlp"]:
            some = [i for i, key in enumerate(keys) if key[1:] == ("00", a)]
            among = [j for j, key in enumerate(keys) if key[1:] == ("01", b)]
            if a == b or not some or not among:
                continue
            right: list[tuple[float, float]] = []
            for i in some:
                order = ordered(values, keys, i, among, distance)
                places = [at for at, j in enumerate(order, 1) if keys[j][0] == keys[i][0]]
                alone += not places
                if places or unmatched == "error":
                    first = places[0] if places else 10**9
                    right.append((float(first <= 1), float(first <= 5)))
            searches += len(right)
            if right:
                rows.append(np.mean(right, axis=0))
    means = 100 * np.mean(rows, axis=0) if rows else (None, None)
    return {"rank1": means[0], "rank5": means[1]}, searches, alone


@st.composite
def cases(draw):
    dataset = draw(st.sampled_from(["gait3d", "ccgr_mini", "grew", "oumvlp"]))
    keys = structure(dataset)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    present = rng.random(len(keys)) >= draw(st.sampled_from([0.0, 0.2, 0.5, 0.9]))
    present[rng.integers(len(keys))] = True
    order = rng.permutation(np.flatnonzero(present))
    values = rng.standard_normal((len(order), draw(st.integers(1, 4)), draw(st.integers(1, 3))))
    coarse = draw(st.sampled_from([None, 2.0, 0.5]))
    if coarse:  # many equal embeddings, and equal distances between different ones
        values = np.round(values * coarse) / coarse
    metric: Metric = draw(st.sampled_from(["euclidean", "cosine"]))
    return dataset, [keys[index] for index in order], values.astype(np.float32), metric


def embedding_set(values: np.ndarray, keys: list[Key]) -> EmbeddingSet:
    labels, types, views = (tuple(column) for column in zip(*keys, strict=True))
    return EmbeddingSet(values.astype(np.float32), labels, types, views, source="random")


def assert_same(result, expected) -> None:
    for name, value in expected.items():
        if value is None or name not in result:
            assert result.get(name) is None
        else:
            assert result[name] == pytest.approx(value, abs=1e-6), name


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(case=cases())
def test_every_number_equals_the_plain_loops(manifests, case):
    dataset, keys, values, metric = case
    distance = {"euclidean": euclidean, "cosine": cosine}[metric]
    manifest, exact = manifests[dataset], values.astype(np.float64)
    result = score(embedding_set(values, keys), manifest, metric=metric)
    json.dumps(result.to_json(), allow_nan=False)
    if dataset == "oumvlp":
        assert list(result.protocols) == ["single_view", "single_view_matched"]
        for name, unmatched in (("single_view", "error"), ("single_view_matched", "left_out")):
            part = result.protocols[name].conditions["All"]
            expected, searches, alone = cells(exact, keys, distance, unmatched=unmatched)
            assert_same(part.values, expected)
            assert (part.searches, part.without_match) == (searches, alone)
            if expected["rank1"] is not None:
                assert part.cmc[0] == pytest.approx(expected["rank1"], abs=1e-6)
        return
    (name,) = result.protocols
    part = result.protocols[name].conditions["All"]
    expected = whole_gallery(dataset, exact, keys, distance)
    if dataset != "gait3d":  # the only one whose protocol names Rank-10
        expected["rank10"] = None
    assert_same(part.values, expected)
    probes = sum(is_probe(dataset, key) for key in keys)
    assert (part.probes, part.gallery) == (probes, len(keys) - probes)


def test_the_same_camera_is_part_of_the_gallery_and_the_probe_itself_is_not(manifests):
    same = ("3000", "camid0_videoid0", "seq0"), ("3000", "camid0_videoid0", "seq1")
    keys = [*same, ("3001", "camid0_videoid0", "seq0")]
    values = np.array([0.0, 1.0, 5.0]).reshape(3, 1, 1)
    result = score(embedding_set(values, keys), manifests["gait3d"])
    part = result.protocols["gallery"].conditions["All"]
    assert (part.probes, part.gallery, part.values["rank1"]) == (1, 2, 100.0)


def test_a_probe_that_is_in_its_own_gallery_does_not_find_itself(manifests):
    rules = manifests["gait3d"].model_dump(mode="json")
    side = {"like": ["*"]}
    rules["protocols"]["gallery"]["conditions"] = {"All": {"probe": side, "gallery": side}}
    everyone = DatasetManifest.model_validate(rules)
    keys = [("3000", "a", "x"), ("3001", "a", "x"), ("3001", "b", "x"), ("3000", "b", "x")]
    values = np.array([0.0, 1.0, 9.0, 10.0]).reshape(4, 1, 1)
    part = score(embedding_set(values, keys), everyone).protocols["gallery"].conditions["All"]
    assert (part.values["rank1"], part.values["rank5"]) == (0.0, 100.0)
    result = retrievals(embedding_set(values, keys), everyone, "gallery", "euclidean")
    assert [one.nearest[0].place for one in result[0].shown] == [1, 0, 3, 2]
    assert {one.gallery for one in result[0].shown} == {3}


def test_listed_sequences_are_expected_by_name(manifests):
    probes = LISTS["gait3d"][1]["PROBE_SET"]
    keys: list[Key] = [("3000", "camid0_videoid0", "seq0"), ("3001", "camid7_videoid3", "seq4")]
    result = score(embedding_set(np.zeros((2, 1, 1)), keys), manifests["gait3d"])
    coverage_here = result.coverage
    assert (coverage_here.sequences, coverage_here.missing) == ((4, 1), tuple(probes[1:]))
    assert coverage_here.unexpected_views == ()
    notes = " ".join(result_tables(result)[0].notes)
    assert "1 of 4 sequences and 2 of 4 test subjects" in notes


def test_only_protocols_by_cells_have_cells(manifests):
    """GREW has a view for each sequence: ranks in all cells would not fit into memory."""
    keys = [(f"{n + 1:05}", kind, f"{n}{kind}") for n in range(50) for kind in ("01", "02")]
    given_set = embedding_set(np.zeros((100, 1, 1)), keys)
    run = tested.ScoringSet.start(
        given_set, manifests["grew"], "euclidean", False, None, SilentProgress()
    )
    assert len(run.views) == 101
    rules = manifests["grew"].protocols["local"].conditions["All"]
    probes, gallery = run.of(rules.probe), run.of(rules.gallery)
    result = run.search_gallery(probes, gallery, False, True, "All", same_view=True)
    assert (result.rank.shape, result.chance.shape) == ((50, 0), (50, 0))


def test_missing_pairs_of_type_and_view_are_reported_by_type():
    keys = [("a", "x", "7"), ("a", "x", "8"), ("b", "y", "9")]
    result = coverage(keys, ["a", "b"], ["x", "y"], ["0"], open_views=True)
    assert (result.sequences, result.missing) == ((4, 2), ("a/y", "b/x"))
    assert result.unexpected_views == ()
    both = coverage(keys, ["a", "b", "c"], ["x"], ["0"], open_types=True, open_views=True)
    assert (both.sequences, both.missing, both.subjects) == ((0, 0), (), (3, 2))


def test_the_way_of_counting_stands_under_the_table(manifests):
    keys = [("00002", "00", "000"), ("00004", "00", "000"), ("00002", "01", "090")]
    result = score(embedding_set(np.arange(3).reshape(3, 1, 1), keys), manifests["oumvlp"])
    errors, left_out = result_tables(result)
    assert "1 probes without a match counted as errors." in errors.notes
    assert "1 probes without a match left out." in left_out.notes
    values = [result.protocols[n].conditions["All"].values["rank1"] for n in result.protocols]
    assert values == [50.0, 100.0]
