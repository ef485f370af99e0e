"""The demo with fewer people and iterations: each stage once, one screen, nothing made twice."""

import json

import pytest
from typer.testing import CliRunner

from core.runs.run import list_runs
from core.workflows import demo as stages
from core.workspace import Workspace
from lmgait_cli.main import app


@pytest.fixture
def small(monkeypatch):
    for name, number in (("TRAIN", 4), ("TEST", 4), ("TARGET", 2)):
        monkeypatch.setattr(stages, f"{name}_SUBJECTS", number)
    monkeypatch.setattr(stages, "FRAMES", 8)
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    shorter = ("warmup.iterations=12", "warmup.milestones=[]", "train.iterations=3")
    batches = ("train.milestones=[]", "data.identities=2", "data.sequences=2", "data.workers=0")
    monkeypatch.setattr(stages, "SETTINGS", (*stages.SETTINGS, *shorter, *batches))


def test_all_stages_once_on_one_screen_and_in_json(small, tmp_path):
    written = tmp_path / "demo.json"
    words = ["demo", "--workspace", str(tmp_path), "--seed", "3", "--json", str(written)]
    shown = CliRunner().invoke(app, words, env={"COLUMNS": "120"})
    assert shown.exit_code == 0, shown.output
    screen = shown.stdout
    assert len(screen.splitlines()) < 40
    told = json.loads(written.read_text())
    for text in ("LMGait, on frames", "GaitBase, on silhouettes", "chance", "designed sentence"):
        assert text in screen
    assert f"mean IoU {told['iou']:.3f}" in screen
    assert told["iou"] > 0.5
    assert told["looks"]["designed"] > 0.6 > told["looks"]["wrong"]
    protocol = told["own"]["protocols"]["single_view"]["conditions"]
    assert set(protocol) == {"NM", "BG", "CL"}
    assert (tmp_path / "demo-3" / "runs" / "demo-lmgait" / "contact-sheet.png").is_file()
    advice = [line.partition("lmgait ")[2] for line in screen.splitlines() if "lmgait v" in line]
    assert len(advice) == 1
    followed = CliRunner().invoke(app, advice[0].split())
    assert followed.exit_code == 0, followed.output
    # Again: nothing is trained a second time, and the numbers are the same.
    before = written.read_text()
    shown = CliRunner().invoke(app, words)
    assert shown.exit_code == 0, shown.output
    assert "Training: " not in shown.output
    assert {**json.loads(written.read_text()), "seconds": 0} == {**json.loads(before), "seconds": 0}
    runs = [one.name for one in list_runs(Workspace(tmp_path / "demo-3").runs)]
    assert runs == ["demo-gaitbase", "demo-lmgait"]
