from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest

from core.errors import UsageError
from core.evaluation.score import score
from core.manifests import load_manifest, load_published
from core.records import EmbeddingSet
from core.tables import (
    compare_table,
    cross_table,
    result_tables,
    to_csv,
    to_json,
    to_latex,
    to_markdown,
    view_table,
)


def result(dataset: str, *, types=None, bootstrap: int = 0, source: str = "a_run on a 50% store"):
    manifest = load_manifest(dataset)
    keys = [
        (subject, kind, view)
        for subject in manifest.subjects.test[:4]
        for kind in types or manifest.structure.types
        for view in manifest.structure.views[:3]
    ]
    values = np.random.default_rng(0).standard_normal((len(keys), 3, 2)).astype(np.float32)
    labels, kinds, views = (tuple(column) for column in zip(*keys, strict=True))
    given = EmbeddingSet(values, labels, kinds, views, source)
    return score(given, manifest, bootstrap=bootstrap)


def test_a_row_per_condition_then_the_mean_each_in_its_protocol():
    found = result("ccpg")
    gait, reid = result_tables(found)
    assert "gait counting" in gait.title
    assert "ReID counting" in reid.title
    assert gait.headers == ("condition", "Rank-1 (%)", "Rank-5 (%)", "chance Rank-1")
    assert reid.headers[3:5] == ("mAP (%)", "mINP (%)")
    assert [row[0] for row in reid.rows] == ["CL", "UP", "DN", "BG", "Mean"]
    # Three of ten cameras: the cells that are empty are marked, and explained below.
    assert [row[0] for row in gait.rows[:2]] == ["CL*", "UP*"]
    assert any(note.startswith("* Mean over fewer cells") for note in gait.notes)
    assert any("84 of 7,000 sequences" in note for note in gait.notes)
    expected = found.protocols["reid"].conditions["CL"].values["mAP"]
    assert reid.rows[0][3] == f"{expected:.1f}"
    for table in (gait, reid):
        assert table.notes[-1] == "CCPG: a_run on a 50% store"


def test_undefined_values_and_intervals_are_written():
    found = result("sustech1k", types=("00-nm", "01-nm"), bootstrap=10)
    single, cross = result_tables(found)
    rows = {row[0].rstrip("*"): row for row in single.rows}
    assert rows["Bag"][1] == "-"
    assert rows["Mean"][1] == "-"
    low, high = found.protocols["single_view"].conditions["Normal"].intervals["rank1"]
    assert rows["Normal"][1].endswith(f"[{low:.1f}, {high:.1f}]")
    assert any("Mean over Normal, Bag" in note for note in single.notes)
    assert "This protocol is not one of the dataset's own." in cross.notes
    assert any("95 % interval" in note for note in cross.notes)


def test_published_tables_follow_with_ours_in_the_last_row():
    found = result("sustech1k", types=("00-nm", "01-nm", "01-bg", "02-cl-nt", "03-uf"))
    tables = result_tables(found, load_published())
    assert len(tables) == 3
    table = tables[1]
    assert "beside published" in table.title
    assert "protocol single_view" in table.title
    assert table.headers == ("method", "Normal", "Clothing", "Uniform", "Night", "Overall")
    by_name = {row[0]: row for row in table.rows}
    assert by_name["LMGait"][1:] == ("96.4", "79.8", "93.9", "87.0", "97.1")
    assert by_name["GaitEdge"][1:] == ("-",) * 5
    assert by_name["GaitSet"][1:] == ("69.1", "37.4", "61.0", "23.0", "65.0")
    assert any(note.startswith("GaitSet: Printed as 69.1, 61.0") for note in table.notes)
    assert any(
        note.startswith(
            "From elsewhere: SkeletonGait (later), DeepGaitV2 (released), MultiGait++ ("
        )
        for note in table.notes
    )
    ours = found.protocols["single_view"].conditions["Night"].values["rank1"]
    assert table.rows[-1][0] == "this run"
    assert table.rows[-1][4] == f"{ours:.1f}*"


def test_an_empty_value_is_not_marked_as_a_mean_over_fewer_cells():
    found = result("sustech1k", types=("00-nm", "01-nm", "01-cl"))
    bare, *_ = result_tables(found)
    by_name = {row[0]: row for row in bare.rows}
    assert by_name["Night"][1] == by_name["Bag"][1] == "-"
    assert by_name["Clothing*"][1] != "-"
    ours = result_tables(found, load_published())[1].rows[-1]
    assert ours[4] == "-"
    assert ours[2].endswith("*")


def test_published_cross_dataset_numbers_belong_to_runs_trained_elsewhere():
    found = result("casiab_star")
    here = [table.title for table in result_tables(found, load_published())]
    there = [table.title for table in result_tables(found, load_published(), trained_on="ccpg")]
    assert not any("trained on" in title for title in here)
    assert sum("trained on ccpg" in title for title in there) == 1
    alone = compare_table(load_published("ccpg")[0], {})
    assert {row[0]: row[-1] for row in alone.rows}["LMGait"] == "88.5"
    assert alone.rows[-1] == ("GaitMax", "86.6", "88.2", "90.2", "93.2", "89.6")


def test_rows_of_another_protocol_or_dataset_are_marked_and_explained():
    ccpg, star = (compare_table(load_published(name)[0], {}) for name in ("ccpg", "casiab_star"))
    assert [row[0] for row in ccpg.rows if row[0].endswith("†")] == ["GPGait†"]
    (told,) = [
        note for note in ccpg.notes if note.startswith("† GPGait: numbers of reid, not gait.")
    ]
    assert "printed as 71.6" in told
    assert len([row for row in star.rows if row[0].endswith("†")]) == 5
    assert "† GPGait: numbers of casiab, not casiab_star." in star.notes
    assert "GaitEdge: The mean is printed as 72.7." in ccpg.notes


def test_cross_table_has_the_papers_shape():
    star, sustech = result("casiab_star"), result("sustech1k", types=("00-nm", "01-nm", "02-cl-nt"))
    table = cross_table([("ours", star), ("ours", sustech), ("other", star)])
    assert table.headers == (
        "model",
        "CASIA-B* NM (single_view)",
        "CASIA-B* BG (single_view)",
        "CASIA-B* CL (single_view)",
        "SUSTech1K Clothing (single_view)",
        "SUSTech1K Night (single_view)",
        "SUSTech1K Overall (single_view)",
    )
    assert [row[0] for row in table.rows] == ["ours", "other"]
    assert table.rows[1][4:] == ("-", "-", "-")
    assert table.rows[0][1] == table.rows[1][1]
    ccpg = cross_table([("ours", result("ccpg"))], metric="mAP", protocol="reid")
    assert ccpg.headers[1] == "CCPG CL (reid)"
    fallen_back = cross_table([("ours", result("ccpg"))])
    assert fallen_back.headers[1] == "CCPG CL (gait)"


def test_matrix_of_views():
    found = result("casiab")
    table = view_table(found, "single_view", "NM", "rank1")
    assert table.headers[:3] == ("probe", "000", "018")
    assert table.rows[-1][1:] == ("-",) * 11
    for wrong in (("gait", "NM"), ("single_view", "XX"), ("cross_view", "NM")):
        with pytest.raises(UsageError, match="No matrix"):
            view_table(found, *wrong, "rank1")


def test_formats_say_the_same():
    found = result("ccpg", source="a_run & 50% | =x\n<b>")
    tables = result_tables(found, load_published("ccpg"))
    lines = list(csv.reader(io.StringIO(to_csv(tables))))
    assert lines[0] == [f"# {tables[0].title}"]
    assert tuple(lines[1]) == tables[0].headers
    assert tuple(lines[2]) == tables[0].rows[0]
    markdown = to_markdown(tables)
    assert "| condition | Rank-1 (%) | Rank-5 (%) | chance Rank-1 |" in markdown
    assert "a\\_run & 50% \\| =x \\<b\\>" in markdown
    latex = to_latex(tables)
    assert "a\\_run \\& 50\\% | =x <b>" in latex
    assert latex.count(r"\begin{tabular}{lrrr}") == 1
    assert latex.count(r"\toprule") == len(tables)
    assert "U1\\_D0" not in latex
    parsed = json.loads(to_json(found))
    value = found.protocols["gait"].conditions["CL"].values["rank1"]
    assert parsed["protocols"]["gait"]["conditions"]["CL"]["rank1"] == value


def test_names_do_no_harm_in_spreadsheets_and_latex():
    found = result("ccpg", bootstrap=5)
    latex = to_latex(result_tables(found))
    assert r"\\ [" not in latex
    table = cross_table([("=cmd()", found)])
    assert "'=cmd()" in to_csv([table])
