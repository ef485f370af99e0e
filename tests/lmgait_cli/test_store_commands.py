import json

import pytest
import typer
from typer.testing import CliRunner

from core.errors import EXIT_DATA, EXIT_USAGE
from lmgait_cli.datasets import datasets
from lmgait_cli.inspect import inspect
from lmgait_cli.merge import merge
from lmgait_cli.prepare import prepare
from lmgait_cli.train import train
from lmgait_cli.verify import verify
from tests.fakes import raw_datasets as raw

app = typer.Typer()
for verb in (prepare, merge, inspect, verify, datasets, train):
    app.command()(verb)


@pytest.fixture(autouse=True)
def workspace(tmp_path, monkeypatch):
    monkeypatch.setenv("LMGAIT_WORKSPACE", str(tmp_path / "ws"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "ws"


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_verbs_on_one_store(tmp_path, workspace):
    source = raw.write_ccpg(tmp_path / "raw")
    (source / "CCPG_G_SIL/000/U0_D0/01_0/00002.png").unlink()
    result = run(
        "prepare", "ccpg", source, "--workers", 0, "--quiet", "--json", tmp_path / "p.json"
    )
    assert result.exit_code == 0, result.output
    assert "3 sequences, 18 frames (17 with silhouette)" in result.output
    assert "no silhouette" in result.output
    written = json.loads((tmp_path / "p.json").read_text())
    assert written["info"]["frames"] == 18
    assert written["left_out"][0]["frames"] == 1
    again = run("prepare", "ccpg", source, "--quiet")
    assert "Already complete" in again.output
    inspected = run("inspect", "ccpg", "--json", tmp_path / "i.json")
    assert inspected.exit_code == 0, inspected.output
    assert "Sequences by type" in inspected.output
    assert (tmp_path / "contact-sheet.png").exists()
    assert json.loads((tmp_path / "i.json").read_text())["sequences"] == 3
    assert "sound" in run("verify", "ccpg").output
    assert "archives" in run("datasets").output
    shard = workspace / "stores" / "ccpg" / "shard-00000.h5"
    shard.write_bytes(shard.read_bytes()[:-10])
    broken = run("verify", "ccpg", "--json", tmp_path / "v.json")
    assert broken.exit_code == EXIT_DATA
    assert "shard-00000.h5" in json.loads((tmp_path / "v.json").read_text())["faults"][0]
    assert "shard-00000.h5: its bytes have changed" in broken.output


def test_parts_on_the_command_line(tmp_path):
    source = raw.write_ccpg(tmp_path / "raw")
    for part in ("1/2", "2/2"):
        assert run("prepare", "ccpg", source, "--part", part, "--quiet").exit_code == 0
    merged = run("merge", "ccpg", "--quiet")
    assert "3 sequences, 18 frames" in merged.output


def test_a_dry_run_prints_the_sequences(tmp_path):
    source = raw.write_casiab(tmp_path / "raw")
    result = run("prepare", "casiab", source, "--dry-run", "--quiet")
    assert "`videos`: 2 sequences, about 12 frames" in result.output


OWN = """
format: 1
name: mine
title: Mine
frames: 4
subjects: {train: ["005"], test: [bert, "100"]}
structure: {types: [U0_D0, U1_D1], views: ["01", "02"], view_until: _}
protocols:
  plain: {title: plain, counting: gallery, conditions: {All: {probe: U0_D0, gallery: U0_D0}}}
forms:
  - name: archives
    label: mine
    framing: crop
    rgb: {path: "{subject}/{type}/{view}/{frame}.jpg"}
    silhouettes: {path: "{subject}/{type}/{view}/{frame}.png"}
"""


@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_the_source_is_compared_with_the_split(tmp_path, dry):
    source = raw.write_ccpg(tmp_path / "raw")
    (tmp_path / "mine.yaml").write_text(OWN)
    result = run("prepare", "mine.yaml", source, "--workers", 0, "--json", "p.json", *dry)
    assert result.exit_code == 0, result.output
    text = " ".join(result.stdout.split())
    assert "training subjects 0 of 1 (absent: 005), test subjects 1 of 2 (absent: bert)" in text
    assert "In no split, and so neither trained on nor tested: 1 subject (000)" in text
    assert json.loads((tmp_path / "p.json").read_text())["split"] == {
        "train": {"present": [], "absent": ["005"]},
        "test": {"present": ["100"], "absent": ["bert"]},
        "in_no_split": ["000"],
        "unknown_types": [],
        "unknown_views": [],
    }
    whole = run("prepare", "ccpg", source, "--workers", 0, "--quiet", *dry).stdout
    assert "training subjects 1 of 100 (absent: 001, 002, 003 and 96 more)" in whole
    assert "In no split" not in whole


def test_a_store_without_subjects_of_the_split_is_reported_by_prepare_and_train(tmp_path):
    source = raw.write_ccpg(tmp_path / "raw")
    (tmp_path / "mine.yaml").write_text(OWN.replace('"005"', "anna").replace(', "100"', ""))
    result = run("prepare", "mine.yaml", source, "--workers", 0, "--quiet")
    assert result.exit_code == 0
    assert "WARNING: no subject of the source is in the split" in result.stdout
    assert "holds 000, 100, the split anna, bert" in result.stdout
    failed = run("train", "--dataset", "mine.yaml", "--preset", "tiny")
    assert failed.exit_code == EXIT_DATA
    assert "subjects are 000, 100, the split's training subjects anna" in failed.output


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("prepare", "ccpgg", "raw"), EXIT_USAGE, "Did you mean `ccpg`"),
        (("prepare", "ccpg", "gone"), EXIT_DATA, "No such folder"),
        (("prepare", "ccpg", "empty"), EXIT_DATA, "empty"),
        (("prepare", "ccpg", "empty", "--part", "3"), EXIT_USAGE, "3/16"),
        (("prepare", "ccpg", "empty", "--part", "3/2"), EXIT_USAGE, "no part 3 of 2"),
        (("prepare", "ccpg", "empty", "--codec", "zip"), EXIT_USAGE, "zip"),
        (("merge", "ccpg"), EXIT_USAGE, "no parts"),
        (("verify", "ccpg"), EXIT_DATA, "no store"),
        (("inspect", "empty"), EXIT_DATA, "no store"),
    ],
)
def test_usage_errors_give_one_clear_line(tmp_path, arguments, code, words):
    (tmp_path / "empty").mkdir()
    failed = run(*arguments)
    assert failed.exit_code == code
    assert words in " ".join(failed.output.split())
    assert "Traceback" not in failed.output


@pytest.mark.parametrize("verb", ["prepare", "merge", "inspect", "verify", "datasets"])
def test_help_has_an_example(verb):
    result = run(verb, "--help")
    assert result.exit_code == 0
    assert f"lmgait {verb}" in result.output
