"""Every bad input ends in its exit code and one clear message, and changes no file."""

import json
import shlex

import pytest
from typer.testing import CliRunner

from lmgait_cli.exits import DEBUG_VARIABLE
from lmgait_cli.main import app
from tests.lmgait_cli.bad_cases import CASES
from tests.lmgait_cli.bad_home import contents, copied, make_home


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return make_home(tmp_path_factory.mktemp("good"))


@pytest.fixture
def home(good, tmp_path, monkeypatch):
    monkeypatch.setenv("LMGAIT_WORKSPACE", str(tmp_path / "ws"))
    monkeypatch.delenv("LMGAIT_PRESET", raising=False)
    monkeypatch.delenv(DEBUG_VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    return copied(good, tmp_path)


def run(words):
    return CliRunner().invoke(app, shlex.split(words), prog_name="lmgait")


@pytest.mark.parametrize("name", CASES)
def test_a_bad_input_gives_one_clear_message_and_changes_nothing(name, home):
    case = CASES[name]
    case.spoil(home)
    before = contents(home)
    result = run(case.words)
    output = " ".join(result.output.split())
    assert result.exit_code == case.code, output
    assert "Traceback" not in output
    if case.report is None:
        assert result.stderr.count("Error:") == 1
        assert "\nNext: " in result.stderr, output
        assert case.message in output
        assert len(output) < 5000
    else:
        assert case.message in (home / case.report).read_text("utf-8")
    after = contents(home)
    assert {name: after.get(name) for name in before} == before
    assert not list(home.rglob("*.partial"))
    assert not (home / "executed").exists()


@pytest.mark.parametrize(
    "words",
    [
        "evaluate --dataset casiab --embeddings good.npz --json r.json",
        "embed again.npz",
        "config show --config small.yaml",
        "verify casiab",
        "inspect casiab --no-sheet",
        "train --dataset casiab --config small.yaml --resume",
    ],
)
def test_the_workspace_is_valid_before_it_is_damaged(words, home):
    result = run(words)
    assert result.exit_code == 0, result.output


def test_skipped_sequences_are_listed_beside_the_output(home):
    def reasons(path):
        content = json.loads((home / path).read_text("utf-8"))
        assert content["format"] == 1
        return {line["reason"]: line["sequences"] for line in content["summary"]}

    assert reasons("ws/runs/first/left-out.json") == {"not of a training subject": 8}
    (described,) = (home / "ws/warmups").glob("[!.]*/run.json")
    assert reasons(described.with_name("left-out.json")) == {"not of a training subject": 8}
    assert run("embed some.npz").exit_code == 0
    assert reasons("some.npz.left-out.json") == {"not of a test subject": 12}
    assert run("embed all.npz --all").exit_code == 0
    assert reasons("all.npz.left-out.json") == {}
    assert run("evaluate").exit_code == 0
    beside = "ws/runs/first/embeddings/casiab.npz.left-out.json"
    assert reasons(beside) == {"not of a test subject": 12}
