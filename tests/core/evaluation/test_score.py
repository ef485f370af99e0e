"""Every number of every official protocol against an evaluator of plain loops."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks import plain_evaluator as plain
from core.errors import DataError, UsageError
from core.evaluation.score import score
from core.manifests import load_manifest, parse_manifest
from core.metrics.rerank import Reranking
from core.records import EmbeddingSet

Values = dict[str, dict[str, dict[str, float | None]]]
SUSTECH_TYPES = (
    "00-nm",
    "01-nm",
    "01-bg",
    "02-cl-nt",
    "03-cr-oc",
    "04-ub",
    "02-uf-bg",
    "03-nt",
)


def structure(dataset: str, subjects: int, views: int) -> list[tuple[str, str, str]]:
    manifest = load_manifest(dataset)
    types = SUSTECH_TYPES if dataset == "sustech1k" else manifest.structure.types
    keys = []
    for subject in manifest.subjects.test[:subjects]:
        for kind in types:
            for view in manifest.structure.views[:views]:
                suffixes = ("_0", "_1")[: 1 + (view == "02")] if dataset == "ccpg" else ("",)
                keys += [(subject, kind, view + suffix) for suffix in suffixes]
    return keys


def embedding_set(values: np.ndarray, keys: list[tuple[str, str, str]]) -> EmbeddingSet:
    labels, types, views = (tuple(column) for column in zip(*keys, strict=True))
    return EmbeddingSet(values.astype(np.float32), labels, types, views, source="random")


def told(result) -> Values:
    return {
        name: {condition: dict(part.values) for condition, part in protocol.conditions.items()}
        for name, protocol in result.protocols.items()
    }


def assert_equal(ours: Values, theirs: Values) -> None:
    assert ours.keys() == theirs.keys()
    for protocol, conditions in theirs.items():
        assert ours[protocol].keys() == conditions.keys()
        for condition, values in conditions.items():
            for name, value in values.items():
                found = ours[protocol][condition][name]
                if value is None:
                    assert found is None, (protocol, condition, name, found)
                else:
                    assert found == pytest.approx(value, abs=1e-6), (protocol, condition, name)


@st.composite
def cases(draw):
    dataset = draw(st.sampled_from(["ccpg", "sustech1k", "casiab"]))
    keys = structure(dataset, draw(st.integers(2, 3)), draw(st.integers(1, 3)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kept = rng.random(len(keys)) >= draw(st.sampled_from([0.0, 0.1, 0.5, 0.9]))
    if not kept.any():
        kept[0] = True
    keys = [key for key, keep in zip(keys, kept, strict=True) if keep]
    order = rng.permutation(len(keys))
    keys = [keys[index] for index in order]
    values = rng.standard_normal((len(keys), draw(st.integers(1, 5)), draw(st.integers(1, 3))))
    coarse = draw(st.sampled_from([None, 2.0, 0.5]))
    if coarse:  # many equal embeddings, and equal distances between different ones
        values = np.round(values * coarse) / coarse
    metric = draw(st.sampled_from(["euclidean", "cosine"]))
    if metric == "euclidean":  # far from the origin a matrix product would lose most digits
        values += draw(st.sampled_from([0.0, 0.0, 1000.0]))
    return dataset, keys, values.astype(np.float32), metric


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(case=cases())
def test_every_number_equals_the_plain_loops(case):
    dataset, keys, values, metric = case
    result = score(embedding_set(values, keys), load_manifest(dataset), metric=metric)
    assert_equal(told(result), plain.evaluate(dataset, values, keys, getattr(plain, metric)))
    json.dumps(result.to_json(), allow_nan=False)


def test_the_same_with_informative_embeddings_and_more_subjects():
    rng = np.random.default_rng(4)
    keys = structure("ccpg", 10, 4)
    center = {key[0]: rng.standard_normal((6, 2)) for key in keys}
    values = np.stack([center[key[0]] + rng.standard_normal((6, 2)) for key in keys])
    values = values.astype(np.float32)
    result = score(embedding_set(values, keys), load_manifest("ccpg"))
    assert_equal(told(result), plain.evaluate("ccpg", values, keys))
    gait = result.protocols["gait"]
    rank1 = gait.mean["rank1"]
    assert rank1 is not None
    assert 20 < rank1 < 100
    assert rank1 == pytest.approx(
        np.mean([gait.conditions[name].values["rank1"] for name in ("CL", "UP", "DN", "BG")])
    )
    assert gait.mean["mAP"] is None


def test_casia_star_counts_like_casia():
    keys = structure("casiab", 3, 2)
    values = np.random.default_rng(0).standard_normal((len(keys), 3, 2)).astype(np.float32)
    ours = told(score(embedding_set(values, keys), load_manifest("casiab_star")))
    assert_equal(ours, plain.evaluate("casiab", values, keys))


def test_probes_without_a_match_are_errors_in_gait_and_skipped_in_reid():
    keys = [
        ("100", "U0_D0", "01_0"),
        ("100", "U1_D1", "02_0"),
        ("101", "U0_D0", "01_0"),
        ("102", "U1_D1", "02_0"),
    ]
    values = np.arange(4, dtype=np.float32).reshape(4, 1, 1)
    result = score(embedding_set(values, keys), load_manifest("ccpg"))
    gait, reid = (result.protocols[name].conditions["CL"] for name in ("gait", "reid"))
    assert (gait.values["rank1"], gait.searches, gait.without_match) == (50.0, 2, 1)
    assert (reid.values["rank1"], reid.searches, reid.without_match) == (100.0, 1, 1)
    assert reid.probes == 2


def test_same_camera_counts_in_neither_protocol_and_suffixes_share_a_camera():
    keys = [("100", "U0_D0", "01_0"), ("100", "U1_D1", "01_1"), ("101", "U1_D1", "02_0")]
    values = np.array([0.0, 0.1, 5.0], dtype=np.float32).reshape(3, 1, 1)
    result = score(embedding_set(values, keys), load_manifest("ccpg"))
    gait, reid = (result.protocols[name].conditions["CL"] for name in ("gait", "reid"))
    assert gait.cells is not None
    assert (gait.values["rank1"], gait.cells.filled) == (0.0, 1)
    assert gait.matrices["rank1"][0][0] == 100.0
    assert (reid.values["rank1"], reid.without_match) == (None, 1)
    assert result.protocols["gait"].mean["rank1"] is None  # the other conditions have no value


def test_equal_embeddings_everywhere_score_no_better_than_blind():
    keys = structure("casiab", 5, 3)
    result = score(embedding_set(np.ones((len(keys), 4, 2)), keys), load_manifest("casiab"))
    single = result.protocols["single_view"].conditions["NM"]
    assert single.values["rank1"] == pytest.approx(20.0)  # always the gallery's first subject
    assert single.chance == pytest.approx(20.0)


def test_coverage_reports_missing_sequences_and_empty_cells():
    manifest = load_manifest("casiab")
    keys = [
        (subject, kind, view)
        for subject in manifest.subjects.test
        for kind in manifest.structure.types
        for view in manifest.structure.views
        if not (kind.startswith("cl") and view == "090") and (subject, kind) != ("075", "nm-01")
    ]
    values = np.zeros((len(keys), 1, 1))
    result = score(embedding_set(values, keys), manifest, protocols=["single_view"])
    seen = result.coverage
    assert seen.sequences == (5500, 5500 - 100 - 11)
    assert seen.subjects == (50, 50)
    assert "075/nm-01/018" in seen.missing
    assert len(seen.missing) == 111
    cells = result.protocols["single_view"].conditions["CL"].cells
    assert cells is not None
    assert (cells.expected, cells.filled) == (110, 100)
    assert set(cells.empty) == {("090", view) for view in manifest.structure.views if view != "090"}
    assert seen.cells == (330, 320)
    assert not seen.complete
    matrix = result.protocols["single_view"].conditions["CL"].matrices["rank1"]
    assert matrix[5] == [None] * 11


def test_ccpg_cameras_and_open_types_in_coverage():
    ccpg = load_manifest("ccpg")
    keys = [
        (s, t, f"{v}_0")
        for s in ccpg.subjects.test
        for t in ccpg.structure.types
        for v in ccpg.structure.views
    ]
    keys.append(("100", "U0_D0", "01_1"))
    seen = score(embedding_set(np.zeros((len(keys), 1, 1)), keys), ccpg).coverage
    assert (seen.sequences, seen.embeddings, seen.complete) == ((7000, 7000), 7001, True)
    sustech = load_manifest("sustech1k")
    keys = structure("sustech1k", 2, 12)[1:]
    seen = score(embedding_set(np.zeros((len(keys), 1, 1)), keys), sustech).coverage
    assert seen.sequences == (2 * 8 * 12, 2 * 8 * 12 - 1)
    assert seen.missing == ("0001/00-nm/000",)
    assert seen.subjects == (800, 2)


def test_sequences_of_other_subjects_are_skipped_and_counted():
    keys = structure("ccpg", 3, 2)
    rng = np.random.default_rng(1)
    values = rng.standard_normal((len(keys), 3, 1)).astype(np.float32)
    alone = score(embedding_set(values, keys), load_manifest("ccpg"))
    others = [("000", kind, view) for _, kind, view in keys] + [("nobody", "U0_D0", "01_0")]
    more = rng.standard_normal((len(others), 3, 1)).astype(np.float32)
    mixed = score(
        embedding_set(np.concatenate([more, values]), others + keys), load_manifest("ccpg")
    )
    assert told(mixed) == told(alone)
    assert mixed.coverage.left_out == len(others)
    with pytest.raises(DataError, match="None of the"):
        score(embedding_set(more, others), load_manifest("ccpg"))


def test_views_missing_in_the_manifest_are_scored_and_reported():
    keys = [
        (subject, kind, view)
        for subject in ("075", "076")
        for kind in ("nm-01", "nm-05")
        for view in ("000", "999")
    ]
    values = np.random.default_rng(2).standard_normal((len(keys), 3, 1)).astype(np.float32)
    result = score(embedding_set(values, keys), load_manifest("casiab"))
    assert result.coverage.unexpected_views == ("999",)
    cells = result.protocols["single_view"].conditions["NM"].cells
    assert cells is not None
    assert (cells.expected, cells.filled, cells.extra) == (110, 0, 2)
    assert_equal(told(result), plain.evaluate("casiab", values, keys))


def test_json_has_the_promised_form():
    keys = structure("sustech1k", 3, 3)
    values = np.random.default_rng(3).standard_normal((len(keys), 3, 2)).astype(np.float32)
    result = score(embedding_set(values, keys), load_manifest("sustech1k"), bootstrap=20)
    told_json = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert told_json["dataset"] == "sustech1k"
    assert told_json["metric"] == "euclidean"
    assert told_json["coverage"]["sequences"]["found"] == len(keys)
    single = told_json["protocols"]["single_view"]
    assert list(single["conditions"]) == [
        "Normal",
        "Bag",
        "Clothing",
        "Carrying",
        "Umbrella",
        "Uniform",
        "Occlusion",
        "Night",
        "Overall",
    ]
    for part in (*single["conditions"].values(), single["mean"]):
        assert {"rank1", "rank5", "mAP", "mINP"} <= part.keys()
        assert part["mAP"] is None
        low, high = part["interval95"]["rank1"]
        assert 0 <= low <= high <= 100
    assert "Overall" not in single["mean_over"]
    assert told_json["protocols"]["cross_view"]["official"] is False


def test_intervals_contain_the_value_and_depend_only_on_the_seed():
    rng = np.random.default_rng(5)
    keys = structure("casiab", 8, 3)
    center = {key[0]: rng.standard_normal((4, 1)) for key in keys}
    values = np.stack([center[key[0]] + 0.7 * rng.standard_normal((4, 1)) for key in keys])
    given_set = embedding_set(values, keys)
    first, again, other = (
        score(given_set, load_manifest("casiab"), bootstrap=200, seed=seed) for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other
    for protocol in first.protocols.values():
        for part in protocol.conditions.values():
            for name, (low, high) in part.intervals.items():
                value = part.values[name]
                assert value is not None
                assert low <= value <= high
                assert high - low > 0.5
        assert protocol.mean_intervals.keys() == {
            name for name, value in protocol.mean.items() if value is not None
        }


def test_own_manifest_counts_by_its_own_rules():
    manifest = parse_manifest(
        {
            "format": 1,
            "name": "mine",
            "title": "Mine",
            "frames": 10,
            "subjects": {"train": ["a"], "test": ["b", "c"]},
            "structure": {"types": ["slow", "fast-1", "fast-2"], "views": ["left", "right"]},
            "protocols": {
                "all": {
                    "title": "whole gallery",
                    "counting": "gallery",
                    "conditions": {
                        "Fast": {"probe": {"like": ["fast-*"], "without": ["2"]}, "gallery": "slow"}
                    },
                }
            },
        }
    )
    keys = [
        ("b", "fast-1", "left"),
        ("b", "slow", "left"),
        ("b", "slow", "right"),
        ("c", "slow", "right"),
        ("c", "fast-2", "left"),
    ]
    values = np.array([0.0, 0.0, 2.0, 1.0, 9.0]).reshape(5, 1, 1)
    part = score(embedding_set(values, keys), manifest).protocols["all"].conditions["Fast"]
    assert part.probes == 1
    expected = {"rank1": 0.0, "rank5": 100.0, "rank10": None, "mAP": 50.0, "mINP": 50.0}
    assert part.values == expected
    assert part.chance == 50.0


def test_reranking_is_per_condition_and_improves_clustered_embeddings():
    rng = np.random.default_rng(6)
    keys = structure("casiab", 12, 4)
    center = {key[0]: rng.standard_normal((8, 1)) for key in keys}
    values = np.stack([center[key[0]] + rng.standard_normal((8, 1)) for key in keys])
    manifest = load_manifest("casiab")
    before = score(embedding_set(values, keys), manifest)
    after = score(embedding_set(values, keys), manifest, rerank=True)
    assert after.rerank
    name = "cross_view"
    better, worse = (found.protocols[name].mean["mAP"] for found in (after, before))
    assert better is not None
    assert worse is not None
    assert better > worse + 1
    kept = score(embedding_set(values, keys), manifest, rerank=Reranking(weight=1.0))
    assert_equal(told(kept), told(before))  # the original distance alone: the original order


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"metric": "euclid"}, "No metric 'euclid'"),
        ({"protocols": ["gaits"]}, "Did you mean `gait`"),
        ({"bootstrap": -1}, "-1 resamples"),
    ],
)
def test_wrong_options_are_refused(options, words):
    keys = structure("ccpg", 2, 2)
    with pytest.raises(UsageError, match=words):
        score(embedding_set(np.zeros((len(keys), 1, 1)), keys), load_manifest("ccpg"), **options)


def test_reranking_an_empty_condition_is_not_an_error():
    keys = [(load_manifest("ccpg").subjects.test[0], "U0_D0", "01_0")]
    found = score(embedding_set(np.ones((1, 2, 1)), keys), load_manifest("ccpg"), rerank=True)
    assert set(found.protocols["gait"].conditions["CL"].values.values()) == {None}
