"""Splits that come in a file, lists of sequences, ranges of names, and what may be said of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from core.errors import ManifestError
from core.manifests import SequenceList, load_manifest, load_outline, parse_manifest
from core.manifests.load import partition_place
from core.records import SequenceKey
from core.workspace import Workspace
from tests.fakes.nested import with_changes

FILE = {"TRAIN_SET": ["0001", "0002"], "TEST_SET": ["0003"], "PROBE_SET": ["0003-camid1_v2-seq0"]}
GOOD: dict[str, Any] = {
    "format": 1,
    "name": "mine",
    "title": "Mine",
    "frames": 20,
    "partition": "Mine.json",
    "subjects": {"train": {"key": "TRAIN_SET"}, "test": {"key": "TEST_SET"}, "hidden": ["nobody"]},
    "lists": {
        "probes": {
            "pattern": "{subject}-{type}-{view}",
            "sequences": {"key": "PROBE_SET"},
        }
    },
    "structure": {"types": ["a"], "open_types": True, "views": ["b"], "open_views": True},
    "protocols": {
        "whole": {
            "title": "whole",
            "counting": "gallery",
            "exclude": "itself",
            "conditions": {
                "All": {"probe": {"listed": "probes"}, "gallery": {"unlisted": "probes"}}
            },
        },
        "server": {
            "title": "server",
            "counting": "submission",
            "ranks": 3,
            "conditions": {"All": {"probe": "a", "gallery": {"unlisted": "probes"}}},
        },
    },
}


@pytest.fixture
def mine(tmp_path):
    (tmp_path / "Mine.json").write_text(json.dumps(FILE), encoding="utf-8")
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(GOOD), encoding="utf-8")
    return path


def changed(*changes: tuple[str, object]) -> dict[str, Any]:
    inline = [
        ("subjects", {"train": ["x"], "test": ["y"], "hidden": ["nobody"]}),
        ("lists.probes.sequences", FILE["PROBE_SET"]),
    ]
    return with_changes(GOOD, [*inline, *changes])


def test_a_users_manifest_reads_the_partition_file_beside_it(mine):
    manifest = load_manifest(mine)
    assert manifest.subjects.train == ("0001", "0002")
    assert manifest.subjects.tested == ("0003", "nobody")
    rules = manifest.protocols["whole"].conditions["All"]
    probe, other = (
        SequenceKey("0003", "camid1_v2", "seq0"),
        SequenceKey("0003", "camid1_v2", "seq1"),
    )
    assert [manifest.takes(rules.probe, key) for key in (probe, other)] == [True, False]
    assert [manifest.takes(rules.gallery, key) for key in (probe, other)] == [False, True]


def test_a_shipped_manifest_reads_the_partition_file_of_the_workspace(tmp_path):
    home = Workspace(tmp_path)
    with pytest.raises(ManifestError, match=r"Gait3D .* Gait3D\.json") as caught:
        load_manifest("gait3d", home)
    assert caught.value.where == str(tmp_path / "partitions" / "Gait3D.json")
    assert "lmgait prepare" in (caught.value.next_step or "")
    home.partitions.mkdir()
    (home.partitions / "Gait3D.json").write_text(json.dumps(FILE), encoding="utf-8")
    assert load_manifest("gait3d", home).subjects.test == ("0003",)
    assert partition_place("gait3d", home) == home.partitions / "Gait3D.json"
    assert partition_place("ccpg", home) is None


@pytest.mark.parametrize("name", ["gait3d", "oumvlp", "ccgr_mini", "grew", "ccpg"])
def test_an_outline_needs_no_file(name):
    outline = load_outline(name)
    assert outline.name == name
    assert outline.forms
    assert outline.protocols


def test_the_official_rules():
    gait3d, oumvlp = load_outline("gait3d"), load_outline("oumvlp")
    assert gait3d.protocols["gallery"].exclude == "itself"
    assert gait3d.protocols["gallery"].defined == ("rank1", "rank5", "rank10", "mAP", "mINP")
    assert [one.unmatched for one in oumvlp.protocols.values()] == ["error", "left_out"]
    assert len(oumvlp.structure.views) == 14
    mini = load_outline("ccgr_mini").protocols["gallery"]
    assert (mini.conditions["All"].probe.unlisted, mini.conditions["All"].gallery.listed) == (
        "gallery",
        "gallery",
    )
    assert mini.defined == ("rank1", "rank5", "mAP", "mINP")
    grew = load_manifest("grew")
    assert (len(grew.subjects.train), len(grew.subjects.test)) == (20_000, 6_000)
    assert (grew.subjects.train[0], grew.subjects.train[-1]) == ("00001train", "20000train")
    assert grew.subjects.hidden == ("probe",)
    assert (grew.protocols["server"].ranks, grew.protocols["local"].official) == (20, False)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("[1]", "not an object of lists"),
        ("{", "cannot be read"),
        ('{"TRAIN_SET": "0001"}', "'TRAIN_SET' .* not a list of names"),
        ('{"TRAIN_SET": [1]}', "'TRAIN_SET' .* not a list of names"),
        ("[" * 100_000, "cannot be read"),
        ('{"TRAIN_SET": ["0001"]}', "no list 'TEST_SET'"),
        ('{"TRAIN_SETS": ["1"], "TEST_SET": ["2"], "PROBE_SET": ["3"]}', "mean `TRAIN_SETS`"),
        ('{"TRAIN_SET": ["1"], "TEST_SET": ["1"], "PROBE_SET": ["3"]}', "also in train"),
        ('{"TRAIN_SET": ["../x"], "TEST_SET": ["1"], "PROBE_SET": ["3"]}', "path separator"),
        ('{"TRAIN_SET": [], "TEST_SET": ["1"], "PROBE_SET": ["3"]}', r"subjects\.train"),
    ],
)
def test_a_damaged_or_hostile_file_is_refused(mine, content, what):
    (mine.parent / "Mine.json").write_text(content, encoding="utf-8")
    with pytest.raises(ManifestError, match=what):
        load_manifest(mine)


def test_invalid_names_are_attributed_to_the_partition_file(mine):
    place = mine.parent / "Mine.json"
    place.write_text(json.dumps(FILE | {"TRAIN_SET": ["0001", "0001"]}), encoding="utf-8")
    with pytest.raises(ManifestError, match="'0001' given twice") as caught:
        load_manifest(mine)
    assert str(place) in (caught.value.next_step or "")
    mine.write_text(yaml.safe_dump(GOOD | {"frames": "x"}), encoding="utf-8")
    with pytest.raises(ManifestError, match="2 faults") as caught:
        load_manifest(mine)
    assert "Correct each key" in (caught.value.next_step or "")


def test_a_file_that_is_too_large_or_a_folder_is_refused(mine, monkeypatch):
    place = mine.parent / "Mine.json"
    monkeypatch.setattr("core.manifests.partition.MAX_NAMES", 3)
    with pytest.raises(ManifestError, match="more than 3 names"):
        load_manifest(mine)
    place.unlink()
    place.mkdir()
    with pytest.raises(ManifestError, match="cannot be read"):
        load_manifest(mine)


@pytest.mark.parametrize("name", ["../Mine.json", "/etc/x.json", "Mine.yaml", 3])
def test_a_partition_is_a_json_file_beside(name):
    with pytest.raises(ManifestError, match="partition"):
        parse_manifest(changed(("partition", name)))


FAULTS = [
    ([("lists.probes.pattern", "{subject}-{type}")], "lists.probes.pattern: needs {subject}"),
    ([("lists.probes.pattern", "{subject}{subject}{type}{view}")], "lists.probes.pattern: needs"),
    ([("lists.probes.pattern", "{subject!r}{type}{view}")], "lists.probes.pattern: needs"),
    ([("lists.probes.sequences", [])], "lists.probes.sequences"),
    (
        [("protocols.whole.conditions.All.probe", {"listed": "probe"})],
        "protocols.whole.conditions.All.probe: no list 'probe' in lists; did you mean `probes`?",
    ),
    (
        [("protocols.server.exclude", "itself")],
        "protocols.server.exclude: is for counting gallery, not submission",
    ),
    ([("protocols.whole.ranks", 3)], "protocols.whole.ranks: is for counting submission"),
    (
        [("protocols.whole.unmatched", "left_out")],
        "protocols.whole.unmatched: is for",
    ),
    ([("protocols.server.ranks", None)], "protocols.server.ranks: is missing"),
    ([("protocols.server.metrics", ["rank1"])], "protocols.server.metrics: rank1 is not defined"),
    ([("subjects.hidden", [])], "protocols.server: a submission needs subjects.hidden"),
    ([("subjects.hidden", ["y"])], "subjects.hidden: 'y' also in test"),
    ([("protocols.whole", None)], "protocols: all are submissions"),
    (
        [("protocols.whole.counting", "view_pairs"), ("protocols.whole.exclude", None)],
        "protocols.whole.counting: view_pairs needs views that are all known",
    ),
    ([("subjects.train", [{"from": "2", "to": "1"}])], "subjects.train: from '2' to '1'"),
    ([("subjects.train", [{"from": "8", "to": "10"}])], "subjects.train: '8' and '10' are not"),
    ([("subjects.train", [{"from": "a1", "to": "b2"}])], "subjects.train: 'a1' and 'b2' are not"),
    ([("subjects.train", [{"from": 1, "to": 2}])], "subjects.train: a range is from text to text"),
    ([("subjects.train", [{"from": "0000000", "to": "9999999"}])], "subjects.train: from"),
    ([("subjects.train", {"key": "TRAIN_SET"}), ("partition", None)], "subjects.train: has to be"),
]


@pytest.mark.parametrize(("changes", "line"), FAULTS, ids=lambda value: None)
def test_each_fault_is_named_by_key(changes, line):
    with pytest.raises(ManifestError) as caught:
        parse_manifest(changed(*changes))
    lines = caught.value.what.splitlines()[1:]
    assert any(fault.startswith(line) for fault in lines), lines


def test_ranges_stand_for_the_names_between():
    subjects = [{"from": "p098x", "to": "p101x"}, "z"]
    names = parse_manifest(changed(("subjects.train", subjects))).subjects.train
    assert names == ("p098x", "p099x", "p100x", "p101x", "z")


def test_a_list_names_sequences_by_its_pattern():
    one = SequenceList(pattern="{subject}-{type}-{view}.avi", sequences=("1-A-2_b.avi", "{x}"))
    assert one.holds(SequenceKey("1", "A", "2_b"))
    assert not one.holds(SequenceKey("1", "A", "2_b.avi"))
    assert one.written(SequenceKey("{view}", "A", "c")) == "{view}-A-c.avi"
