"""The top-level command: help, exit codes, and one clear message for every error."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from core.errors import (
    EXIT_DATA,
    EXIT_INTERNAL,
    EXIT_INTERRUPTED,
    EXIT_OUTPUT,
    EXIT_RESOURCE,
    EXIT_TRAINING,
    EXIT_USAGE,
    EXIT_WEIGHTS,
    CheckpointError,
    ConfigError,
    DataError,
    Interrupted,
    LmgaitError,
    ManifestError,
    OutputError,
    ResourceError,
    StoreError,
    TrainingError,
    UsageError,
    WeightsError,
)
from core.version import __version__
from lmgait_cli.exits import DEBUG_VARIABLE, handle_errors
from lmgait_cli.main import app

ROOT = Path(__file__).parents[2]


def leaves(command, path=()):
    """Every command with its words, including those in groups."""
    for name, inner in getattr(command, "commands", {}).items():
        yield from leaves(inner, (*path, name))
    if not getattr(command, "commands", None):
        yield path


VERBS = sorted(leaves(get_command(app)))


@pytest.fixture(autouse=True)
def workspace(tmp_path, monkeypatch):
    monkeypatch.setenv("LMGAIT_WORKSPACE", str(tmp_path / "ws"))
    monkeypatch.delenv("LMGAIT_PRESET", raising=False)
    monkeypatch.delenv(DEBUG_VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    return tmp_path / "ws"


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def words(result):
    """Output without the line breaks of a narrow terminal."""
    return " ".join(result.output.split())


def python(code, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
        check=False,
    )


def test_the_main_verbs_exist():
    expected = {"prepare", "pretrain-decoder", "train", "cache-text", "evaluate", "cross-eval"}
    assert expected <= {path[0] for path in VERBS}


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_every_verb_has_help_with_an_example(verb):
    result = run(*verb, "--help")
    assert result.exit_code == 0, result.output
    text = words(result)
    assert f"Example: lmgait {' '.join(verb)}" in text or f"Example: lmgait {verb[0]}" in text


def test_help_lists_every_verb_and_does_not_import_torch():
    code = (
        "import sys\n"
        "from lmgait_cli.main import run\n"
        "try:\n    run()\n"
        "except SystemExit as end:\n    assert not end.code, end.code\n"
        "slow = {'torch', 'transformers', 'h5py', 'cv2', 'av', 'scipy'}\n"
        "print('SLOW', sorted(slow & set(sys.modules)))\n"
    )
    result = python(code, "--help")
    assert result.returncode == 0, result.stderr
    assert "SLOW []" in result.stdout
    for verb in VERBS:
        assert verb[0] in result.stdout
    deeper = python(code, "train", "--help")
    assert "SLOW []" in deeper.stdout


def test_version():
    assert run("--version").output.strip() == f"lmgait {__version__}"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("prepare", "ccpgg", "empty"), EXIT_USAGE, "ccpg"),
        (("prepare", "ccpg", "gone"), EXIT_DATA, "gone"),
        (("prepare", "ccpg", "empty"), EXIT_DATA, "empty"),
        (("train", "--dataset", "ccpgg"), EXIT_USAGE, "ccpg"),
        (("train", "--dataset", "ccpg"), EXIT_DATA, "lmgait prepare"),
        (("train",), EXIT_USAGE, "lmgait prepare"),
        (("train", "--resume", "--fresh"), EXIT_USAGE, "exclude each other"),
        (("train", "--preset", "papr"), EXIT_USAGE, "Did you mean `paper`"),
        (("train", "--set", "train.iteratoins=4"), EXIT_USAGE, "did you mean `iterations`"),
        (("train", "--set", "train.lr"), EXIT_USAGE, "--set key.path=value"),
        (("train", "--config", "gone.yaml"), EXIT_USAGE, "gone.yaml"),
        (("pretrain-decoder", "--dataset", "casiabb"), EXIT_USAGE, "casiab"),
        (("pretrain-decoder", "--dataset", "casiab"), EXIT_DATA, "lmgait prepare"),
        (("cache-text",), EXIT_USAGE, "lmgait train"),
        (("cache-text", "--run", "gone"), EXIT_USAGE, "no run `gone`"),
        (("evaluate",), EXIT_USAGE, "lmgait train"),
        (("evaluate", "--run", "gone"), EXIT_USAGE, "no run `gone`"),
        (("cross-eval",), EXIT_USAGE, "lmgait"),
        (("report",), EXIT_USAGE, "lmgait train"),
        (("report", "gone"), EXIT_USAGE, "no run `gone`"),
        (("report", "--bootstrap", "-1"), EXIT_USAGE, "--bootstrap"),
        (("synthesize", "ccpgg", "out"), EXIT_USAGE, "ccpg"),
        (("verify", "ccpg"), EXIT_DATA, "prepare"),
        (("nonsense",), EXIT_USAGE, "nonsense"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_a_usage_error_gives_one_clear_message_and_its_exit_code(arguments, code, message):
    failed = run(*arguments)
    assert failed.exit_code == code, failed.output
    assert message in words(failed)
    assert "Traceback" not in failed.output
    assert failed.output.count("Error") == 1


def test_all_invalid_settings_are_reported_at_once():
    failed = run("train", "--set", "train.lr=-1", "--set", "modle.fusion=add", "--set", "seed=x")
    for key in ("train.lr", "modle", "seed"):
        assert key in failed.output
    assert failed.exit_code == EXIT_USAGE


def test_an_unwritable_workspace_raises_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    failed = run("train", "--dataset", "ccpg", "--workspace", tmp_path / "file" / "deeper")
    assert failed.exit_code == EXIT_DATA
    assert "Traceback" not in failed.output


def app_of(error):
    application = typer.Typer()

    def verb():
        raise error

    application.command()(handle_errors(verb))
    return CliRunner().invoke(application, [])


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError, EXIT_USAGE),
        (ConfigError, EXIT_USAGE),
        (DataError, EXIT_DATA),
        (ManifestError, EXIT_DATA),
        (StoreError, EXIT_DATA),
        (WeightsError, EXIT_WEIGHTS),
        (CheckpointError, EXIT_WEIGHTS),
        (OutputError, EXIT_OUTPUT),
        (TrainingError, EXIT_TRAINING),
        (ResourceError, EXIT_RESOURCE),
        (Interrupted, EXIT_INTERRUPTED),
        (LmgaitError, EXIT_INTERNAL),
    ],
)
def test_each_error_has_its_exit_code(error, code):
    failed = app_of(error("It [bold]broke", where="/a/[red]file", next_step="Mend it."))
    assert failed.exit_code == code
    assert words(failed) == "Error: It [bold]broke (/a/[red]file) Next: Mend it."


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (KeyboardInterrupt(), EXIT_INTERRUPTED, "Run the same command again"),
        (OSError(28, "No space left on device"), EXIT_OUTPUT, "No space left"),
        (PermissionError(13, "Permission denied", "/no/such"), EXIT_OUTPUT, "/no/such"),
        (OSError(24, "Too many open files"), EXIT_RESOURCE, "Too many open files"),
        (FileNotFoundError(2, "No such file", "/no/such"), EXIT_DATA, "(/no/such)"),
        (IsADirectoryError(21, "Is a directory", "/no"), EXIT_DATA, "Is a directory (/no)"),
        (OSError("odd"), EXIT_DATA, "odd"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"), EXIT_DATA, "not UTF-8"),
        (MemoryError(), EXIT_RESOURCE, "memory is not enough"),
        (RuntimeError("DefaultCPUAllocator: can't allocate"), EXIT_RESOURCE, "memory"),
        (RecursionError("too deep"), EXIT_INTERNAL, "RecursionError"),
        (RuntimeError("odd"), EXIT_INTERNAL, "Internal error: RuntimeError: odd"),
        (KeyError("x"), EXIT_INTERNAL, "lmgait --debug"),
    ],
)
def test_other_exceptions_give_a_message_without_a_traceback(error, code, message):
    failed = app_of(error)
    assert failed.exit_code == code
    assert message in words(failed)
    assert "Traceback" not in failed.output


def test_debug_shows_the_traceback(monkeypatch):
    monkeypatch.setenv(DEBUG_VARIABLE, "1")
    failed = app_of(DataError("broke", next_step="Mend it."))
    assert failed.exit_code == EXIT_DATA
    assert "Traceback (most recent call last)" in failed.stderr
    assert failed.stderr.endswith("Error: broke\nNext: Mend it.\n")
    monkeypatch.setenv(DEBUG_VARIABLE, "0")
    assert "Traceback" not in app_of(DataError("broke")).stderr


def test_debug_shows_the_traceback_of_a_verb_and_keeps_its_exit_code():
    code = "from lmgait_cli.main import run; run()"
    failed = python(code, "--debug", "prepare", "ccpgg", "x")
    assert failed.returncode == EXIT_USAGE
    assert "Traceback" in failed.stderr
    assert "Error: There is no dataset `ccpgg`" in failed.stderr


def test_errors_can_be_pickled():
    import pickle

    error = StoreError("It broke", where="a file", next_step="Mend it.")
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is StoreError
    assert str(back) == str(error) == "It broke (a file). Mend it."


def test_a_process_ends_with_the_exit_code_and_only_results_on_stdout(tmp_path):
    code = "from lmgait_cli.main import run; run()"
    result = python(code, "train", "--dataset", "ccpgg")
    assert result.returncode == EXIT_USAGE
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert result.stderr.startswith("Error:")
