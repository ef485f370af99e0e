"""Random manifests, settings and labels: success or an error in words, and right numbers."""

import json
import os

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.plain_evaluator import cosine, euclidean
from benchmarks.plain_evaluator import evaluate as plain_evaluate
from core.config import Config, check_config, dump_config, resolve_config
from core.config.resolve import parse_override
from core.errors import LmgaitError
from core.evaluation.score import score
from core.manifests.load import load_manifest, load_outline, parse_manifest
from core.manifests.schema import DatasetManifest
from core.metrics.results import EvaluationResult
from core.records import EmbeddingSet
from core.sources.patterns import match_segment
from core.system.plain_yaml import YamlFault, plain_yaml
from core.tables.build import result_tables
from core.tables.formats import FORMATS, to_json
from tests.lmgait_cli.bad_home import MANIFEST

# A hundred times as many in the nox session, by the same variable as for the readers.
MANY = max(1, int(float(os.environ.get("LMGAIT_FUZZ_SECONDS", "20")) // 20))
QUICK = settings(
    max_examples=40 * MANY,
    deadline=None,
    derandomize=MANY == 1,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.binary(max_size=9),
    st.dates(),
    st.sampled_from(["../../x", "/etc/passwd", "off", "no", "a\x00b", "é", "x" * 200, "{frame}"]),
)
TREES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.one_of(st.text(max_size=9), st.integers()), inner, max_size=4)
    ),
    max_leaves=12,
)


def places(tree, path=()):
    """Paths of all nodes below the root."""
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in pairs:
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from places(value, (*path, key))


@st.composite
def spoilt(draw, tree):
    """The tree with up to three nodes replaced, removed or renamed."""
    content = json.loads(json.dumps(tree))
    for _ in range(draw(st.integers(1, 3))):
        *above, last = draw(st.sampled_from(sorted(places(content), key=str)))
        node = content
        for key in above:
            node = node[key]
        what = draw(st.sampled_from(["replace", "replace", "remove", "rename"]))
        if what == "replace":
            node[last] = draw(TREES)
        elif what == "remove" or isinstance(node, list):
            del node[last]
        else:
            node[f"{last}x"] = node.pop(last)
        if not list(places(content)):
            break
    return content


def told(call, *errors):
    """The call's result; None where it refused with an error in words."""
    try:
        return call()
    except (LmgaitError, *errors) as error:
        words = str(error)
    assert 0 < len(words) < 20_000
    return None


@QUICK
@given(spoilt(MANIFEST))
def test_manifests(tree):
    found = told(lambda: parse_manifest(tree))
    if found is not None:
        assert parse_manifest(found.model_dump(mode="json")) == found
        for form in found.forms:
            for stream in form.streams().values():
                match_segment("a-b.jpg", stream.segments[-1], form, {}, last=True)


@pytest.mark.parametrize("name", ["ccpg", "sustech1k", "casiab", "gait3d", "grew", "ccgr_mini"])
@QUICK
@given(st.data())
def test_official_manifests_spoilt(name, data):
    tree = load_outline(name).model_dump(mode="json", exclude_defaults=True)
    lists = {"probes": {"sequences": ["a/b/c"]}, "gallery": {"sequences": ["a/b/c"]}}
    subjects = {**MANIFEST["subjects"], "hidden": ["probe"]}
    tree |= {"subjects": subjects, "lists": lists}
    told(lambda: parse_manifest(data.draw(spoilt(tree))))


@QUICK
@given(TREES)
def test_partition_files(tmp_path_factory, tree):
    """A file of any content: lists, or an error in words."""
    tree = json.loads(json.dumps(tree, default=str))
    place = tmp_path_factory.mktemp("partition") / "Gait3D.json"
    place.write_text(json.dumps(tree), encoding="utf-8")
    assert told(lambda: load_manifest("gait3d", partition=place)) is None
    named = {"TRAIN_SET": ["0000"], "TEST_SET": ["3000"], "PROBE_SET": tree}
    place.write_text(json.dumps(named), encoding="utf-8")
    found = told(lambda: load_manifest("gait3d", partition=place))
    assert (found is None) == (
        not isinstance(tree, list) or not tree or not all(isinstance(name, str) for name in tree)
    )


@QUICK
@given(spoilt(resolve_config("tiny").model_dump(mode="json")))
def test_settings_of_a_file(tree):
    found = told(lambda: check_config(tree))
    if found is not None:
        assert check_config(plain_yaml(dump_config(found))) == found


@QUICK
@given(
    st.sampled_from(sorted(places(resolve_config("tiny").model_dump(mode="json")), key=str)),
    st.one_of(st.text(max_size=30), TREES.map(str), TREES.map(repr)),
    st.booleans(),
)
def test_overrides(path, value, typed):
    key = ".".join(map(str, path))
    text = f"{key}={value}" if typed else value
    told(lambda: parse_override(text))
    found = told(lambda: resolve_config("tiny", overrides=[text]))
    assert found is None or isinstance(found, Config)


@QUICK
@given(
    st.one_of(
        st.text(alphabet="ab:-[]{}&*!<>|?#\n\t \"'%@`,0.~\\é", max_size=60),
        TREES.map(lambda tree: yaml.safe_dump(tree, allow_unicode=True)),
    )
)
def test_yaml_texts(text):
    told(lambda: plain_yaml(text), YamlFault)


IDS = {
    "ccpg": (
        ("U0_D0", "U0_D0_BG", "U1_D1", "U3_D3", "U0_D3", "U1_D0", "odd"),
        ("01_0", "01_1", "02_0", "10_0", "99_9"),
    ),
    "sustech1k": (
        ("00-nm", "01-nm", "01-bg", "02-cl-nt", "01-ub-oc", "03-cr", "04-uf", "odd"),
        ("000", "090", "180-far", "new"),
    ),
    "casiab": (
        ("nm-01", "nm-02", "nm-05", "bg-01", "bg-02", "cl-01", "cl-02", "odd"),
        ("000", "090", "180", "new"),
    ),
}


@st.composite
def labelled(draw, dataset):
    """Embeddings of some test subjects (and others): ties, zeros, repeats and holes included."""
    manifest = load_manifest(dataset)
    subjects = [*manifest.subjects.test[:4], *manifest.subjects.train[:1]]
    key = st.tuples(st.sampled_from(subjects), *map(st.sampled_from, IDS[dataset]))
    keys = draw(st.lists(key, min_size=1, max_size=40))
    shape = (len(keys), draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = random.normal(size=shape)
    if draw(st.booleans()):  # exact ties
        values = np.round(values)
    if draw(st.booleans()):
        values[random.random(len(keys)) < 0.2] = 0
    return keys, values.astype(np.float32), manifest


@pytest.mark.parametrize("dataset", IDS)
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@QUICK
@given(st.data())
def test_scores_of_any_labels_equal_the_plain_loop(dataset, metric, data):
    keys, values, manifest = data.draw(labelled(dataset))
    labels, types, views = (tuple(part) for part in zip(*keys, strict=True))
    found = told(lambda: score(EmbeddingSet(values, labels, types, views), manifest, metric=metric))
    tested = [at for at, label in enumerate(labels) if label in manifest.subjects.test]
    if found is None:
        assert not tested
        return
    distance = euclidean if metric == "euclidean" else cosine
    expected = plain_evaluate(dataset, values[tested], [keys[at] for at in tested], distance)
    for protocol, conditions in expected.items():
        for name, numbers in conditions.items():
            told_one = found.protocols[protocol].conditions[name]
            for kind, number in numbers.items():
                if kind in told_one.values:
                    ours = told_one.values[kind]
                    assert (ours is None) == (number is None), (protocol, name, kind)
                    assert number is None or ours == pytest.approx(number, abs=1e-6)


@pytest.mark.parametrize("dataset", IDS)
@settings(QUICK, max_examples=10 * MANY)
@given(st.data())
def test_any_result_is_printed_and_comes_back_from_json(dataset, data):
    keys, values, manifest = data.draw(labelled(dataset))
    labels, types, views = (tuple(part) for part in zip(*keys, strict=True))
    given_set = EmbeddingSet(values, labels, types, views, data.draw(st.text(max_size=30)))
    rerank, bootstrap = data.draw(st.booleans()), data.draw(st.sampled_from([0, 3]))
    found = told(lambda: score(given_set, manifest, rerank=rerank, bootstrap=bootstrap))
    if found is not None:
        assert isinstance(found, EvaluationResult)
        tables = result_tables(found, (), None)
        for write in FORMATS.values():
            assert write(tables)
        content = json.loads(to_json(found))
        assert "NaN" not in json.dumps(content)


def test_the_manifest_to_spoil_is_good():
    assert isinstance(parse_manifest(MANIFEST), DatasetManifest)
