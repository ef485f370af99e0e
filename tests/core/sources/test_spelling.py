"""Names of folders against those of the manifest: other Unicode forms, other numbers of zeros."""

import json
import os
import unicodedata

import pytest

from core.errors import DataError
from core.manifests.load import parse_manifest
from core.progress import SilentProgress
from core.records import SequenceKey
from core.sources.spelling import KnownNames, Spelling
from core.storage.store import Store
from core.workflows.prepare import plan_preparation, prepare
from core.workspace import Workspace
from tests.fakes import raw_datasets as raw

COMPOSED = "Zo\xeb-\u1ec7"
DECOMPOSED = unicodedata.normalize("NFD", COMPOSED)
MANIFEST = """
format: 1
name: mine
title: Mine
frames: 4
subjects: {{train: [{train}], test: [{test}]}}
structure: {{types: ["{type}"], views: ["{view}"]}}
protocols:
  plain:
    title: plain
    counting: gallery
    conditions: {{All: {{probe: "{type}", gallery: "{type}"}}}}
forms:
  - name: folders
    label: my crops
    framing: crop
    rgb: {{path: "{{subject}}/{{type}}/{{view}}/{rgb}_{{frame}}.jpg"}}
    silhouettes: {{path: "{{subject}}/{{type}}/{{view}}/mask_{{frame}}.png"}}
"""


def manifest(path, train, test, kind="walk", view="front", rgb="rgb"):
    text = MANIFEST.format(train=f'"{train}"', test=f'"{test}"', type=kind, view=view, rgb=rgb)
    path.write_text(text, encoding="utf-8")
    return str(path)


def write(folder, rgb="rgb", seed=0):
    for frame in range(4):
        image, mask = raw.person(100, 40, frame, seed)
        raw.write_image(folder / f"{rgb}_{frame}.jpg", image)
        raw.write_image(folder / f"mask_{frame}.png", mask)


def prepared(tmp_path, name):
    result = prepare(name, tmp_path / "data", Workspace(tmp_path / "ws"), workers=0)
    keys = [tuple(info.key) for info in Store.open(result.store).sequences]
    return keys, result, json.loads(result.report.read_text())["listing"]


@pytest.mark.parametrize(("there", "here"), [(DECOMPOSED, COMPOSED), (COMPOSED, DECOMPOSED)])
def test_names_match_in_either_form_and_are_spelled_as_the_manifest_does(tmp_path, there, here):
    if unicodedata.normalize("NFC", os.fsdecode(os.fsencode(there))) != COMPOSED:
        pytest.skip("no such names here")
    write(tmp_path / "data" / f"a{there}" / f"t{there}" / f"v{there}", rgb=there)
    write(tmp_path / "data" / "b" / f"t{there}" / f"v{there}", rgb=there)
    name = manifest(tmp_path / "m.yaml", f"a{here}", "b", f"t{here}", f"v{here}", rgb=here)
    keys, result, listing = prepared(tmp_path, name)
    assert keys == [(f"a{here}", f"t{here}", f"v{here}"), ("b", f"t{here}", f"v{here}")]
    assert result.comparison.train.present == (f"a{here}",)
    assert listing == []


def test_names_outside_the_manifest_are_composed(tmp_path):
    write(tmp_path / "data" / DECOMPOSED / "walk" / "front")
    keys, result, _ = prepared(tmp_path, manifest(tmp_path / "m.yaml", "a", "b"))
    assert keys == [(COMPOSED, "walk", "front")]
    assert result.comparison.in_no_split == (COMPOSED,)


def test_two_folders_of_one_name_are_reported(tmp_path):
    write(tmp_path / "data" / COMPOSED / "walk" / "front")
    write(tmp_path / "data" / DECOMPOSED / "walk" / "front", seed=1)
    if len(list((tmp_path / "data").iterdir())) == 1:
        pytest.skip("the file system takes both for one")
    keys, _, listing = prepared(tmp_path, manifest(tmp_path / "m.yaml", COMPOSED, "b"))
    assert keys == [(COMPOSED, "walk", "front")]
    assert [line["reason"] for line in listing] == ["found twice", "found twice"]
    assert {line["files"][0] for line in listing} == {f"{COMPOSED}/walk/front"}


def test_one_number_in_two_spellings_is_matched_and_reported(tmp_path):
    write(tmp_path / "data" / "1" / "walk-01" / "0")
    write(tmp_path / "data" / "p02" / "walk-01" / "0")
    name = manifest(tmp_path / "m.yaml", "001", "p2", "walk-1", "000")
    keys, result, listing = prepared(tmp_path, name)
    assert keys == [("001", "walk-1", "000"), ("p2", "walk-1", "000")]
    assert not result.comparison.warnings()
    assert {(line["reason"][:21], line["sequence"]) for line in listing} == {
        ("named as in the manif", "001/walk-1/000"),
        ("named as in the manif", "p2/walk-1/000"),
    }
    assert len(listing) == 4  # two subjects, a type, a view


def test_streams_that_write_a_number_differently_are_joined(tmp_path):
    for frame in range(4):
        image, mask = raw.person(100, 40, frame)
        raw.write_image(tmp_path / "data" / "a" / "007/walk/front" / f"rgb_{frame}.jpg", image)
        raw.write_image(tmp_path / "data" / "b" / "7/walk/front" / f"mask_{frame}.png", mask)
    keys, result, listing = prepared(tmp_path, manifest(tmp_path / "m.yaml", "007", "b"))
    assert keys == [("007", "walk", "front")]
    assert result.info is not None
    assert result.info.valid == 4
    assert [line["files"] for line in listing] == [["b/7/walk/front"]]


def spelled(names, *subjects):
    keys = [SequenceKey(subject, "t", "v") for subject in subjects]
    spelling = Spelling(KnownNames(names, ("t",), ("v",)), [keys])
    return [spelling.key(key).subject for key in keys]


def test_numbers_are_matched_only_where_nothing_else_claims_them():
    assert spelled(("001", "002"), "1", "2") == ["001", "002"]
    assert spelled(("001",), "1", "001") == ["1", "001"]
    assert spelled(("001",), "1", "01") == ["1", "01"]
    assert spelled(("001", "01"), "1") == ["1"]
    assert spelled(("1",), "a1", "11") == ["a1", "11"]
    assert spelled(("001",), "\uff10\uff10\uff11") == ["001"]  # full-width digits


def test_the_group_of_a_view_is_matched_and_its_rest_stays():
    key = SequenceKey("s", "t", "1_0")
    spelling = Spelling(KnownNames(("s",), ("t",), ("01", "02"), "_"), [[key]])
    assert spelling.key(key) == ("s", "t", "01_0")


def test_a_manifest_that_names_somebody_twice_is_refused():
    content = {
        "format": 1,
        "name": "m",
        "title": "m",
        "frames": 2,
        "subjects": {"train": [COMPOSED, "a"], "test": [DECOMPOSED]},
        "structure": {"types": ["t"], "views": ["v"]},
        "protocols": {
            "p": {
                "title": "p",
                "counting": "gallery",
                "conditions": {"A": {"probe": "t", "gallery": "t"}},
            }
        },
    }
    with pytest.raises(DataError, match="disjoint"):
        parse_manifest(content)
    content["subjects"] = {"train": [COMPOSED, DECOMPOSED], "test": ["a"]}
    with pytest.raises(DataError, match="twice"):
        parse_manifest(content)


class LineRecorder(SilentProgress):
    def __init__(self):
        self.lines = []

    def say(self, text):
        self.lines.append(text)


def test_subjects_of_no_split_and_absent_ones_are_compared_before_the_work(tmp_path):
    for subject in ("a", "c", "d", "1", "001"):
        write(tmp_path / "data" / subject / "walk" / "front")
    write(tmp_path / "data" / "a" / "run" / "back")
    name = manifest(tmp_path / "m.yaml", 'a", "001", "x', "b")
    progress = LineRecorder()
    plan = plan_preparation(name, tmp_path / "data", Workspace(tmp_path / "ws"), progress=progress)
    assert progress.lines == []
    result = plan.comparison
    assert (result.train.present, result.train.absent) == (("a", "001"), ("x",))
    assert (result.test.present, result.test.absent) == ((), ("b",))
    assert result.in_no_split == ("1", "c", "d")
    assert (result.unknown_types, result.unknown_views) == (("run",), ("back",))
    assert result.hints == {"1": "001"}
    assert result.counts() == (
        "Of the split: training subjects 2 of 3 (absent: x), test subjects 0 of 1 (absent: b)."
    )
    for part in ((1, 2), (2, 2)):
        progress = LineRecorder()
        parted = prepare(
            name,
            tmp_path / "data",
            Workspace(tmp_path / "ws"),
            part=part,
            workers=0,
            progress=progress,
        )
        assert parted.comparison == result
        assert progress.lines == result.warnings()


def test_a_source_without_subjects_of_the_split_is_reported_prominently(tmp_path):
    write(tmp_path / "data" / "p1" / "walk" / "front")
    progress = LineRecorder()
    name = manifest(tmp_path / "m.yaml", "anna", "bert")
    result = prepare(
        name, tmp_path / "data", Workspace(tmp_path / "ws"), workers=0, progress=progress
    )
    assert result.info is not None
    assert result.info.sequences == 1
    assert "no subject of the source is in the split" in progress.lines[0]
    assert "holds p1, the split anna, bert" in progress.lines[0]
