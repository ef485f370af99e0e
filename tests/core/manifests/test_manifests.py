from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from core.errors import ManifestError, UsageError
from core.manifests import (
    DatasetManifest,
    SideRule,
    Structure,
    load_manifest,
    load_outline,
    manifest_names,
    parse_manifest,
)
from tests.fakes.nested import with_changes

GOOD: dict[str, Any] = {
    "format": 1,
    "name": "mine",
    "title": "Mine",
    "frames": 20,
    "subjects": {"train": ["a", "b"], "test": ["c"]},
    "structure": {"types": ["slow", "fast"], "views": ["left", "right"]},
    "protocols": {
        "single": {
            "title": "single view",
            "counting": "view_pairs",
            "conditions": {"All": {"probe": "fast", "gallery": ["slow"]}},
        }
    },
}


def changed(*changes: tuple[str, object]) -> dict[str, Any]:
    return with_changes(GOOD, changes)


def test_the_official_manifests_are_shipped():
    in_files = ["ccgr_mini", "gait3d", "oumvlp"]
    assert manifest_names() == sorted(
        [*in_files, "casiab", "casiab_star", "ccpg", "grew", "sustech1k"]
    )
    sizes = {"casiab": (74, 50), "ccpg": (100, 100), "sustech1k": (250, 800)}
    sizes["casiab_star"] = sizes["casiab"]
    sizes["grew"] = (20_000, 6_000)
    frames = {"casiab": 24, "casiab_star": 24, "ccpg": 30, "sustech1k": 24, "grew": 30}
    for name in frames:
        manifest = load_manifest(name)
        assert manifest.name == name
        assert (len(manifest.subjects.train), len(manifest.subjects.test)) == sizes[name]
        assert manifest.frames == frames[name]
        assert not set(manifest.subjects.train) & set(manifest.subjects.test)


def test_splits_are_the_official_ones():
    ccpg, casia = load_manifest("ccpg").subjects, load_manifest("casiab").subjects
    assert ccpg.train == tuple(f"{number:03}" for number in range(100))
    assert ccpg.test == tuple(f"{number:03}" for number in range(100, 200))
    assert casia.train == tuple(f"{number:03}" for number in range(1, 75))
    assert casia.test == tuple(f"{number:03}" for number in range(75, 125))
    sustech = load_manifest("sustech1k").subjects
    assert sustech.train[:4] == ("0000", "0002", "0005", "0018")
    assert (sustech.test[0], sustech.test[-1]) == ("0001", "1055")
    assert load_manifest("casiab_star").subjects == casia


def test_ccpg_rules_and_cameras():
    ccpg = load_manifest("ccpg")
    assert list(ccpg.protocols) == ["gait", "reid"]
    assert [ccpg.protocols[name].counting for name in ccpg.protocols] == ["view_pairs", "gallery"]
    conditions = ccpg.protocols["gait"].conditions
    assert list(conditions) == ["CL", "UP", "DN", "BG"]
    assert conditions["CL"].probe.names == ("U0_D0", "U0_D0_BG")
    assert not conditions["BG"].gallery.takes_type("U0_D0_BG")
    assert ccpg.protocols["reid"].conditions == conditions
    assert ccpg.structure.group("01_0") == "01"
    assert ccpg.structure.group("01") == "01"
    assert ccpg.protocols["gait"].averaged == ("CL", "UP", "DN", "BG")
    assert ccpg.protocols["gait"].defined == ("rank1", "rank5")


def test_sustech_types_of_several_covariates():
    conditions = load_manifest("sustech1k").protocols["single_view"].conditions
    selected = [name for name, part in conditions.items() if part.probe.takes_type("02-cl-nt")]
    assert selected == ["Clothing", "Night", "Overall"]
    assert [name for name, part in conditions.items() if part.probe.takes_type("00-nm")] == []
    selected = [name for name, part in conditions.items() if part.probe.takes_type("01-nm")]
    assert selected == ["Normal", "Overall"]
    assert all(part.gallery.names == ("00-nm",) for part in conditions.values())


def test_casia_cross_view_probes_and_gallery():
    conditions = load_manifest("casiab").protocols["cross_view"].conditions
    probes = [part.probe.names for part in conditions.values()]
    assert probes == [("nm-01",), ("bg-01",), ("cl-01",)]
    assert {part.gallery.names for part in conditions.values()} == {("nm-02", "bg-02", "cl-02")}


def test_rules_of_all_kinds():
    rule = SideRule(names=("x",), contains=("bg",), like=("nm-0[1-4]",), without=("old",))
    kinds = ("x", "xx", "01-bg", "nm-04", "nm-05", "bg-old")
    assert [kind for kind in kinds if rule.takes_type(kind)] == ["x", "01-bg", "nm-04"]


def test_an_unknown_name_gets_the_nearest_and_the_list():
    with pytest.raises(UsageError, match="Did you mean `ccpg`") as caught:
        load_manifest("CCPGG")
    names = "casiab, casiab_star, ccgr_mini, ccpg, gait3d, grew, oumvlp, sustech1k"
    assert names in (caught.value.next_step or "")
    with pytest.raises(UsageError, match=r"no dataset `\.\./ccpg`"):
        load_manifest("../ccpg")


def test_a_users_manifest_is_read_from_a_file(tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(GOOD), encoding="utf-8")
    for argument in (path, str(path)):
        manifest = load_manifest(argument)
        assert manifest == DatasetManifest.model_validate(GOOD)
        assert manifest.protocols["single"].conditions["All"].probe.names == ("fast",)
        assert manifest.forms == ()


FAULTS = [
    ([("titel", "x")], "titel: unknown key; did you mean `title`?"),
    ([("title", None)], "title: is missing"),
    ([("format", "1")], "format: input should be 1"),
    ([("frames", "20")], "frames: has to be a whole number"),
    ([("frames", 0)], "frames: input should be greater than 0"),
    ([("name", "../../x")], "name: '../../x' has a path separator, a colon or leading dots"),
    ([("name", "Mine!")], "name: string should match pattern '^[a-z0-9][a-z0-9_.-]*$'"),
    ([("subjects.test", ["a", "c"])], "subjects.test: 'a' also in train; the split has to be"),
    ([("subjects.test", ["c", "c"])], "subjects.test: 'c' given twice"),
    ([("subjects.train", [1])], "subjects.train.0: has to be text: put it in quotes"),
    ([("subjects.train", ["a/b"])], "subjects.train.0: 'a/b' has a path separator"),
    ([("subjects.train", [".hidden"])], "subjects.train.0: '.hidden' has a path separator"),
    ([("subjects.train", [" a"])], "subjects.train.0: is empty or begins or ends with a blank"),
    ([("subjects.train", ["a\x07"])], "subjects.train.0: 'a\\x07' has characters that cannot"),
    ([("subjects.train", ["a" * 101])], "subjects.train.0: is longer than 100 characters"),
    ([("subjects.train", [])], "subjects.train: "),
    ([("subjects.train", "a")], "subjects.train: has to be a list"),
    ([("subjects.training", ["a"])], "subjects.training: unknown key; did you mean `train`?"),
    ([("subjects", ["a"])], "subjects: has to be a mapping of keys"),
    ([("structure.view", ["x"])], "structure.view: unknown key; did you mean `views`?"),
    ([("structure.types", ["slow", "fast", "fast"])], "structure.types: 'fast' given twice"),
    ([("structure.view_until", "f")], "structure.views: 'left' holds 'f': give the part before it"),
    ([("protocols", {})], "protocols: "),
    ([("protocols", [])], "protocols: has to be a mapping of names"),
    ([("protocols.single.counting", "pairs")], "protocols.single.counting: input should be"),
    ([("protocols.single.countng", "x")], "protocols.single.countng: unknown key; did you mean"),
    ([("protocols.single.mean_over", ["Al"])], "protocols.single.mean_over: no condition 'Al'; d"),
    (
        [("protocols.single.metrics", ["mAP"])],
        "protocols.single.metrics: mAP is not defined for counting view_pairs",
    ),
    (
        [("protocols.single.conditions.All.probe", "fsat")],
        "protocols.single.conditions.All.probe: "
        "no type 'fsat' in structure.types; did you mean `fast`?",
    ),
    (
        [("protocols.single.conditions.All.probe", {"contains": ["zz"]})],
        "protocols.single.conditions.All.probe: takes none of structure.types",
    ),
    (
        [("protocols.single.conditions.All.probe", {"without": ["zz"]})],
        "protocols.single.conditions.All.probe: takes nothing: give names, contains, like, listed "
        "or unlisted",
    ),
    (
        [("protocols.single.conditions.All.probe", {"contain": ["fa"]})],
        "protocols.single.conditions.All.probe.contain: unknown key; did you mean `contains`?",
    ),
    (
        [("protocols.single.conditions.All.galery", "x")],
        "protocols.single.conditions.All.galery: unknown key; did you mean `gallery`?",
    ),
    ([("forms", "x")], "forms: has to be a list"),
    ([("forms", [{"nam": "x"}])], "forms.0.nam: unknown key; did you mean `name`?"),
    ([("forms", [{"rgb": {"pth": "x"}}])], "forms.0.rgb.pth: unknown key; did you mean `path`?"),
    ([("forms", [{"silhouettes": {"folder": []}}])], "forms.0.silhouettes.folder: unknown key; d"),
]


@pytest.mark.parametrize(("changes", "line"), FAULTS, ids=lambda value: None)
def test_each_fault_is_named_by_key(changes, line):
    with pytest.raises(ManifestError) as caught:
        parse_manifest(changed(*changes), "mine.yaml")
    assert caught.value.where == "mine.yaml"
    lines = caught.value.what.splitlines()[1:]
    assert any(result.startswith(line) for result in lines), lines


def test_faults_of_all_sections_are_reported_at_once():
    content = changed(
        ("titel", "x"),
        ("frames", "20"),
        ("subjects.test", ["a"]),
        ("protocols.single.conditions.All.gallery", "slwo"),
        ("protocols.single.mean_over", ["X"]),
    )
    with pytest.raises(ManifestError) as caught:
        parse_manifest(content)
    head, *lines = caught.value.what.splitlines()
    assert head == "The manifest has 5 faults:"
    assert {line.split(":")[0] for line in lines} == {
        "titel",
        "frames",
        "subjects.test",
        "protocols.single.conditions.All.gallery",
        "protocols.single.mean_over",
    }


def test_many_ids_on_both_sides_are_reported_briefly():
    ids = [f"s{number}" for number in range(50)]
    with pytest.raises(ManifestError, match="and 45 more also in train"):
        parse_manifest(changed(("subjects", {"train": ids, "test": ids})))


def test_open_types_may_be_named_in_rules_without_being_listed():
    content = changed(
        ("structure.open_types", True), ("protocols.single.conditions.All.probe", "other")
    )
    assert parse_manifest(content).structure.open_types


# Each line unfolds to nine of the line before: 9^9 values from a few hundred bytes.
BOMB = "a0: &a0 [x]\n" + "\n".join(
    f"a{line}: &a{line} [{', '.join([f'*a{line - 1}'] * 9)}]" for line in range(1, 10)
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [1", "Not plain YAML: .* \\(line"),
        ("a: !!python/object/apply:os.system ['true']", "Not plain YAML: could not determine"),
        ("a: 1\na: 2", "key 'a' is given twice"),
        ("- 1", "holds no keys"),
        ("", "holds no keys"),
        ("a: &x [*x]", "holds itself"),
        ("[" * 5000, "nested too deeply"),
        ("? [1, 2]\n: 3", "Not plain YAML"),
        ("a: 2001-99-99", "Not plain YAML: month must"),
        (BOMB, "unfold to more than"),
    ],
)
def test_yaml_that_is_not_plain_is_refused(tmp_path: Path, text, words):
    path = tmp_path / "bad.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ManifestError, match=words) as caught:
        load_manifest(path)
    assert str(path) == caught.value.where


def test_unreadable_files_raise_a_clear_error(tmp_path: Path):
    with pytest.raises(ManifestError, match="No such file"):
        load_manifest(tmp_path / "none.yaml")
    with pytest.raises(ManifestError, match="Cannot read the file"):
        load_manifest(tmp_path)
    large = tmp_path / "large.yaml"
    large.write_bytes(b"# " + b"x" * (1 << 20))
    with pytest.raises(ManifestError, match="larger than 1 MiB"):
        load_manifest(large)
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ManifestError, match="Not plain YAML"):
        load_manifest(binary)


def test_merge_keys_of_yaml_work(tmp_path: Path):
    path = tmp_path / "mine.yaml"
    text = yaml.safe_dump(GOOD).replace("gallery:\n", "<<: {}\n        gallery:\n", 1)
    path.write_text(text, encoding="utf-8")
    assert "<<" in text
    assert load_manifest(path).name == "mine"


def test_structure_without_groups_keeps_views():
    assert Structure(types=("a",), views=("b",)).group("b_1") == "b_1"


def test_a_manifest_sets_the_silhouette_cut():
    usual = parse_manifest(GOOD).silhouette_cut
    assert (usual.interpolation, usual.drop_sum) == ("bicubic", 10_000)
    for name in manifest_names():
        own = load_outline(name).silhouette_cut
        assert (own.interpolation == "area", own.drop_sum is None) == (name == "ccpg",) * 2
    rules = {"interpolation": "area", "drop_sum": 5}
    assert parse_manifest(changed(("silhouette_cut", rules))).silhouette_cut.drop_sum == 5
    for wrong in ({"interpolation": "linear"}, {"drop_sum": -1}, {"size": 64}):
        with pytest.raises(ManifestError, match="silhouette_cut"):
            parse_manifest(changed(("silhouette_cut", wrong)))
