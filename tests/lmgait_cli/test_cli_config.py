import json
import subprocess
import sys

import pytest
import yaml
from typer.testing import CliRunner

from core.config import check_config, preset_names, resolve_config
from core.errors import EXIT_DATA, EXIT_USAGE
from lmgait_cli.main import app


@pytest.fixture(autouse=True)
def workspace(tmp_path, monkeypatch):
    monkeypatch.setenv("LMGAIT_WORKSPACE", str(tmp_path / "ws"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "ws"


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize("preset", preset_names())
def test_show_prints_a_valid_config_file(tmp_path, preset):
    printed = run("config", "show", "--preset", preset, "--dataset", "ccpg", "--ablation", "no-pte")
    assert printed.exit_code == 0, printed.output
    path = tmp_path / "mine.yaml"
    path.write_text(printed.stdout)
    tree = yaml.safe_load(printed.stdout)
    assert tree["data"]["frames"] == (
        30 if preset == "paper" else resolve_config(preset).data.frames
    )
    assert tree["model"]["temporal"]["pte"] is False
    again = run("config", "show", "--preset", preset, "--dataset", "ccpg", "--config", path)
    assert again.stdout == printed.stdout


def test_show_applies_overrides_and_counts_parameters(tmp_path):
    result = run(
        "config",
        "show",
        "--preset",
        "paper",
        "--dataset",
        "ccpg",
        "--set",
        "train.iterations=40",
        "--set",
        "train.milestones=[]",
        "--set",
        "model.image.weights=/no/such/folder",
        "--json",
        tmp_path / "c.json",
    )
    assert result.exit_code == 0, result.output
    assert "# image encoder                        0    22,056,576" in result.stdout
    assert "# inference with cached text: 29,268,824" in result.stdout
    written = json.loads((tmp_path / "c.json").read_text())
    assert written["config"]["train"]["iterations"] == 40
    assert written["parameters"]["parts"]["text tower"]["frozen"] == 63_165_952
    assert written["parameters"]["totals"]["inference"] == 29_268_824
    assert check_config(written["config"]).train.iterations == 40
    assert "name one to count it" in run("config", "show", "--preset", "paper").stdout


def test_show_reports_invalid_settings():
    result = run("config", "show", "--set", "train.iteration=4", "--set", "losses.margin=-1")
    assert result.exit_code == EXIT_USAGE
    assert "did you mean `iterations`" in result.stderr
    assert "losses.margin" in result.stderr
    assert run("config", "show", "--dataset", "cpg").exit_code == EXIT_USAGE
    assert run("config", "show", "--ablation", "no-txt").exit_code == EXIT_USAGE


def test_diff_lists_settings(tmp_path):
    result = run(
        "config",
        "diff",
        "paper",
        "clip-image-encoder",
        "--preset",
        "paper",
        "--json",
        tmp_path / "d.json",
    )
    assert result.exit_code == 0, result.output
    written = json.loads((tmp_path / "d.json").read_text())
    assert set(written["differing"]) == {
        f"model.image.{key}" for key in ("family", "architecture", "weights", "height", "width")
    }
    assert written["differing"]["model.image.height"] == {"a": 448, "b": 512}
    assert "model.image.family" in result.stdout
    assert (
        "paper and full are the same."
        in run("config", "diff", "paper", "full", "--preset", "paper").stdout
    )
    unknown = run("config", "diff", "paper", "nothing")
    assert unknown.exit_code == EXIT_USAGE
    assert "no-text-no-mtcm" in unknown.stderr


def test_diff_of_a_run_and_a_preset(workspace):
    from core.runs.run import create_run

    create_run(
        workspace / "runs",
        name="mine",
        dataset="ccpg",
        preset="tiny",
        config=resolve_config("tiny", overrides=["seed=3"]),
        facts={},
    )
    result = run("config", "diff", "tiny", "mine")
    assert result.exit_code == 0, result.output
    assert [line.split() for line in result.stdout.splitlines() if "seed" in line] == [
        ["│", "seed", "│", "0", "│", "3", "│"]
    ]


def test_ablate_rejects_bad_arguments_before_any_work(tmp_path):
    wrong = run("ablate", "--dataset", "casiab", "--table", 4, "--out", "x.html")
    assert wrong.exit_code == EXIT_USAGE
    assert ".csv, .md or .tex" in wrong.stderr
    assert run("ablate", "--dataset", "casiab", "--table", 9).exit_code == EXIT_USAGE
    assert run("ablate", "--dataset", "casiab", "--table", 4).exit_code == EXIT_DATA


def test_help_does_not_import_torch():
    code = (
        "import sys; from typer.testing import CliRunner; from lmgait_cli.main import app;"
        "r = CliRunner().invoke(app, ['config', 'show', '--help']);"
        "assert r.exit_code == 0 and '--ablation' in r.output, r.output;"
        "r = CliRunner().invoke(app, ['ablate', '--help']);"
        "assert r.exit_code == 0 and '--table' in r.output, r.output;"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
