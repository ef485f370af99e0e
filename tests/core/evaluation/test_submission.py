"""The file of nearest subjects that a server counts."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.plain_evaluator import cosine, euclidean
from core.errors import DataError
from core.evaluation.score import score
from core.evaluation.submission import write_submission, write_submissions
from core.manifests import load_manifest
from core.progress import SilentProgress
from core.records import EmbeddingSet

GREW = load_manifest("grew")
HEADER = ["videoId", *(f"rank{number}" for number in range(1, 21))]


def embedding_set(values, keys) -> EmbeddingSet:
    labels, types, views = (tuple(column) for column in zip(*keys, strict=True))
    return EmbeddingSet(np.asarray(values, np.float32), labels, types, views)


def lines(path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def gallery_of(people: int) -> list[tuple[str, str, str]]:
    names = [f"{number + 1:05}" for number in range(people)]
    return [(name, kind, f"{name}{kind}") for name in names for kind in ("01", "02")]


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    people=st.integers(1, 14),
    probes=st.integers(1, 5),
    coarse=st.booleans(),
    metric=st.sampled_from(["euclidean", "cosine"]),
)
def test_lines_are_the_nearest_subjects_in_order(
    tmp_path_factory, seed, people, probes, coarse, metric
):
    rng = np.random.default_rng(seed)
    keys = gallery_of(people) + [("probe", "03", f"v{number}") for number in range(probes)]
    keys += [("00001train", "00", "t")]
    values = rng.standard_normal((len(keys), 2, 2))
    values = (np.round(values) if coarse else values).astype(np.float32)
    order = rng.permutation(len(keys))
    keys, values = [keys[at] for at in order], values[order]
    path = tmp_path_factory.mktemp("submission") / "grew.csv"
    submission = write_submission(path, embedding_set(values, keys), GREW, "server", metric=metric)
    assert (submission.probes, submission.gallery, submission.path) == (probes, 2 * people, path)
    head, *rows = lines(path)
    assert head == HEADER
    far = {"euclidean": euclidean, "cosine": cosine}[metric]
    exact = values.astype(np.float64)
    gallery = [at for at, key in enumerate(keys) if key[1] in ("01", "02")]
    expected = []
    for at, key in enumerate(keys):
        if key[0] == "probe":
            distances = [(round(far(exact[at], exact[j]), 9), j) for j in gallery]
            subjects = [keys[j][0] for _, j in sorted(distances)[:20]]
            expected.append([key[2], *subjects, *[""] * (20 - len(subjects))])
    assert rows == expected


def test_numbers_of_the_known_do_not_depend_on_hidden_probes():
    keys = gallery_of(3)
    rng = np.random.default_rng(0)
    values = rng.standard_normal((len(keys), 3, 1))
    alone = score(embedding_set(values, keys), GREW, bootstrap=50)
    more = [*keys, ("probe", "03", "v"), ("probe", "02", "w")]
    both = score(
        embedding_set(np.concatenate([values, np.zeros((2, 3, 1))]), more), GREW, bootstrap=50
    )
    assert both.to_json() == alone.to_json()
    assert list(both.protocols) == ["local"]
    assert not both.protocols["local"].official


def test_only_submissions_are_written(tmp_path):
    keys = [*gallery_of(2), ("probe", "03", "v")]
    given_set = embedding_set(np.zeros((len(keys), 1, 1)), keys)
    names = {None: ["grew-server.csv"], ("local",): [], ("server",): ["grew-server.csv"]}
    for number, (protocols, files) in enumerate(names.items()):
        folder = tmp_path / str(number)
        submissions = write_submissions(
            folder,
            given_set,
            GREW,
            protocols,
            metric="euclidean",
            rerank=False,
            progress=SilentProgress(),
        )
        assert [one.path.name for one in submissions] == files
        assert sorted(path.name for path in folder.glob("*")) == files
    # All are equally near: the gallery's order stands.
    assert lines(tmp_path / "0" / "grew-server.csv")[1][:5] == [
        "v",
        "00001",
        "00001",
        "00002",
        "00002",
    ]


def test_reranking_reorders_the_list(tmp_path):
    rng = np.random.default_rng(5)
    keys = [*gallery_of(10), *(("probe", "03", f"v{number}") for number in range(6))]
    given_set = embedding_set(rng.standard_normal((len(keys), 2, 1)), keys)
    for name, rerank in (("plain", False), ("reranked", True)):
        write_submission(tmp_path / name, given_set, GREW, "server", rerank=rerank)
    plain, reranked = lines(tmp_path / "plain")[1:], lines(tmp_path / "reranked")[1:]
    assert plain != reranked
    assert [sorted(row) for row in plain] == [sorted(row) for row in reranked]


@pytest.mark.parametrize(
    ("keys", "what"),
    [
        (gallery_of(1), "no probe of a hidden subject"),
        ([("probe", "03", "v")], "no gallery sequence"),
        ([*gallery_of(1), ("probe", "03", "v"), ("probe", "03", "v")], "Two probes .* called v"),
    ],
)
def test_unscorable_submissions_raise_an_error(tmp_path, keys, what):
    with pytest.raises(DataError, match=what):
        write_submission(
            tmp_path / "x.csv", embedding_set(np.zeros((len(keys), 1, 1)), keys), GREW, "server"
        )
    assert not list(tmp_path.iterdir())
