"""Published numbers: in columns that exist, right where their sources are not, with sources."""

import numpy as np
import pytest

from core.errors import ManifestError
from core.manifests import load_outline, load_published, published


def test_published_tables_name_protocols_and_conditions_that_exist():
    tables = load_published()
    assert [table.id for table in tables] == [
        "table-1-ccpg",
        "reid-ccpg",
        "table-1-sustech1k",
        "table-2",
        "results-casiab",
        "table-3-casiab_star",
        "table-3-sustech1k",
        "results-gait3d",
        "results-oumvlp",
        "results-ccgr_mini",
    ]
    for table in tables:
        protocol = load_outline(table.dataset).protocols[table.protocol]
        assert set(table.columns) <= {*protocol.conditions, "Mean"}
        assert table.metric in protocol.defined
        methods = [row.method for row in table.rows]
        assert len(set(methods)) == len(methods)
        assert ("LMGait" in methods) == ("LMGait (AAAI 2026), Table" in table.source)
        for row in table.rows:
            other = load_outline(row.dataset or table.dataset)
            assert set(protocol.conditions) == set(
                other.protocols[row.protocol or table.protocol].conditions
            )
    assert {table.id for table in load_published("sustech1k")} == {
        "table-1-sustech1k",
        "table-3-sustech1k",
    }


def test_published_means_are_those_of_their_rows():
    for table in load_published():
        for row in table.rows if "Mean" in table.columns else ():
            *values, mean = row.values
            assert None not in values
            if mean is not None:
                assert mean == pytest.approx(np.array(values, float).mean(), abs=0.11), row.method


def published_row(table, method):
    (result,) = [one for one in load_published() if one.id == table]
    (row,) = [row for row in result.rows if row.method == method]
    return row


@pytest.mark.parametrize(
    ("table", "method", "values", "printed"),
    [
        ("table-1-ccpg", "GPGait", (54.8, 65.6, 71.06, 65.4, 64.2), ("71.6",)),
        ("table-1-ccpg", "GaitEdge", (66.9, 74.0, 70.6, 77.1, 72.2), ("72.7",)),
        ("table-1-sustech1k", "GaitSet", (69.1, 37.4, 61.0, 23.0, 65.0), ("61.0", "18.6")),
        ("table-2", "VPNet", (98.3, 96.3, 90.0, 94.9), ("90.7",)),
    ],
)
def test_faults_of_a_source_are_corrected_and_noted(table, method, values, printed):
    row = published_row(table, method)
    assert row.values == values
    assert all(value in row.note for value in printed)


def test_rows_of_another_protocol_or_dataset_are_marked():
    other = {
        (table.id, row.method): row.protocol or row.dataset
        for table in load_published()
        for row in table.rows
        if not row.comparable
    }
    assert other == {
        ("table-1-ccpg", "GPGait"): "reid",
        **{
            ("table-2", method): "casiab"
            for method in ("GaitGraph2", "GaitTR", "GPGait", "GaitGCI", "VPNet")
        },
    }
    # In tables of their own protocol and dataset the same numbers are comparable.
    assert published_row("reid-ccpg", "GPGait").values == (54.8, 65.6, 71.06, 65.4, 64.2)
    assert published_row("reid-ccpg", "GPGait").comparable
    assert published_row("results-casiab", "VPNet").values == (98.3, 96.3, 90.0)


@pytest.mark.parametrize(
    ("table", "method", "values"),
    [
        ("table-1-ccpg", "DenoisingGait", (84.0, 88.0, 90.1, 95.9, 89.5)),
        ("table-1-ccpg", "BiggerGait (DINOv2-S)", (89.8, 92.1, 93.7, 97.5, 93.3)),
        ("table-1-ccpg", "GaitMax", (86.6, 88.2, 90.2, 93.2, 89.6)),
        ("table-1-sustech1k", "DeepGaitV2 (released)", (87.4, 53.4, 84.8, 28.8, 82.3)),
        ("table-1-sustech1k", "SkeletonGait++ (released)", (None, None, None, None, 85.6)),
        ("table-3-casiab_star", "BiggerGait (DINOv2-S)", (93.0, 90.8, 55.6)),
        ("reid-ccpg", "DeepGaitV2", (90.5, 96.3, 91.4, 96.7, 93.7)),
    ],
)
def test_later_results_are_listed_with_the_papers_own(table, method, values):
    row = published_row(table, method)
    assert row.values == values
    assert row.source or table == "reid-ccpg"


def test_a_published_file_with_faults_is_refused(monkeypatch):
    good = {
        "id": "t",
        "source": "s",
        "dataset": "ccpg",
        "protocol": "gait",
        "metric": "rank1",
        "columns": ["CL"],
        "rows": [{"method": "m", "group": "g", "values": [1.0, 2.0]}],
    }
    monkeypatch.setattr(published, "read_yaml", lambda path: {"format": 1, "tables": [good]})
    with pytest.raises(ManifestError, match="m has 2 values, not one per column"):
        load_published()
