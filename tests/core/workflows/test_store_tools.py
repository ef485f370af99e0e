import cv2
import pytest

from core.errors import UsageError
from core.workflows.datasets import datasets
from core.workflows.inspect import inspect
from core.workflows.prepare import prepare
from core.workspace import Workspace
from tests.fakes import raw_datasets as raw


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    base = tmp_path_factory.mktemp("tools")
    workspace = Workspace(base / "ws")
    prepare("casiab", raw.write_casiab(base / "raw"), workspace, workers=0)
    prepare("ccpg", raw.write_ccpg(base / "ccpg"), workspace, workers=0)
    return workspace


def test_inspect_counts_what_is_there_and_what_is_not(workspace, tmp_path):
    result = inspect("casiab", workspace, sheet=tmp_path / "sheet.png")
    assert (result.sequences, result.frames, result.valid) == (2, 12, 12)
    assert (result.shortest, result.median, result.longest) == (6, 6, 6)
    assert result.subjects == (1, 0, 0)
    assert result.types == {"bg-02": 1, "nm-01": 1}
    assert result.views == {"000": 1, "090": 1}
    assert result.expected == 10 * 11
    assert len(result.missing) == 108
    assert ("001", "nm-01", "018") in result.missing
    assert len(result.missing_subjects) == 123
    assert all(count.probes == count.gallery == 0 for count in result.conditions)
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert sheet is not None
    # Two rows of six frames and six silhouettes, with names above and paper around them.
    assert sheet.shape[0] > 2 * 256
    assert sheet.shape[1] > 2 * 6 * 128
    assert sheet.std() > 20


def test_cameras_count_as_views_where_the_manifest_says_so(workspace):
    result = inspect(workspace.store("ccpg"), workspace)
    assert result.subjects == (1, 1, 0)
    assert result.expected == 2 * 7 * 10
    assert len(result.missing) == 2 * 7 * 10 - 3
    counts = {(c.protocol, c.condition): (c.probes, c.gallery) for c in result.conditions}
    assert counts["gait", "CL"] == (1, 0)
    assert result.sheet is None


def test_a_store_of_an_own_dataset_needs_its_manifest(workspace):
    with pytest.raises(UsageError):
        inspect("casiab", workspace, manifest="nothing")


def test_datasets_say_what_is_prepared(workspace):
    lines = {line.name: line for line in datasets(workspace)}
    assert lines["casiab"].store == "2 sequences (videos, lossless)"
    assert lines["sustech1k"].store == "-"
    assert (lines["ccpg"].train, lines["ccpg"].test) == (100, 100)
    (workspace.store("casiab_star")).mkdir()
    lines = {line.name: line for line in datasets(workspace)}
    assert lines["casiab_star"].store == "There is no store here"
