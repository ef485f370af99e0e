"""The terminal: completion, progress in every kind of output, JSON results."""

import io
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from rich.text import Text
from typer.main import get_command

import lmgait_cli.console as console
from core.estimates.stages import counted, size
from lmgait_cli.console import ConsoleProgress
from lmgait_cli.estimates import duration
from lmgait_cli.main import app

ROOT = Path(__file__).parents[2]


def leaves(command, path=()):
    for name, inner in getattr(command, "commands", {}).items():
        yield from leaves(inner, (*path, name))
    if not getattr(command, "commands", None):
        yield " ".join(path), command


@pytest.fixture
def home(tmp_path):
    """A folder with only the command and a workspace of named stores and runs."""
    script = tmp_path / "bin" / "lmgait"
    script.parent.mkdir()
    script.write_text(f"#!{sys.executable}\nfrom lmgait_cli.main import run\n\nrun()\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    for name in (
        "stores/ccpg/store.json",
        "stores/casiab/store.json",
        "stores/half/plan.json",
        "runs/ccpg-tiny-001/run.json",
        "runs/ccpg-tiny-002/run.json",
        "runs/.rest/run.json",
        "other/runs/elsewhere/run.json",
    ):
        path = tmp_path / "lmgait-workspace" / name
        path.parent.mkdir(parents=True)
        path.write_text("{}")
    return tmp_path


def shell(home, code, **environment):
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("LMGAIT", "COLUMNS"))}
    path = f"{home / 'bin'}{os.pathsep}{clean['PATH']}"
    clean |= {"PATH": path, "HOME": str(home), "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(
        ["bash", "-c", code], cwd=home, env=clean, capture_output=True, timeout=120, check=False
    )


def completed(home, line, **environment):
    """Bash's completions at the end of ``line``."""
    words = len(line.split(" ")) - 1
    result = shell(
        home,
        "lmgait",
        _LMGAIT_COMPLETE="complete_bash",
        COMP_WORDS=line,
        COMP_CWORD=str(words),
        **environment,
    )
    assert result.stderr == b""
    return result.stdout.decode().split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("lmgait pre", ["prepare", "pretrain-decoder", "pretrain-encoders"]),
        ("lmgait train --dataset c", ["casiab", "ccpg"]),
        ("lmgait evaluate --run ", ["ccpg-tiny-001", "ccpg-tiny-002"]),
        ("lmgait visualize ccpg-tiny-001 x --dataset cas", ["casiab"]),
        ("lmgait evaluate --workspace lmgait-workspace/other --run ", ["elsewhere"]),
        ("lmgait export --dry", []),
        ("lmgait embed e.npz --dry", ["--dry-run"]),
        ("lmgait prepare sus", ["sustech1k"]),
        ("lmgait train --preset p", ["paper"]),
        ("lmgait train --ablation no-text-n", ["no-text-no-mtcm"]),
        ("lmgait config diff ccpg-tiny-001 gate", ["gate-fusion"]),
        ("lmgait verify ", ["casiab", "ccpg"]),
    ],
)
def test_the_shell_completes_verbs_and_names(home, line, offered):
    assert completed(home, line) == offered


def test_completion_without_a_workspace_offers_nothing_and_creates_nothing(home):
    assert completed(home, "lmgait evaluate --run ", LMGAIT_WORKSPACE="gone") == []
    assert not (home / "gone").exists()


def test_completion_is_installed_and_bash_uses_it(home):
    result = shell(home, "lmgait --install-completion; exit $?")
    assert result.returncode == 0, result.stderr
    assert b"bash completion installed" in result.stdout
    code = (
        "source ~/.bash_completions/lmgait.sh; complete -p lmgait; "
        "COMP_WORDS=(lmgait verify cc); COMP_CWORD=2; _lmgait_completion lmgait; "
        "echo ${COMPREPLY[@]}"
    )
    used = shell(home, code)
    assert used.stdout.decode().splitlines()[-1] == "ccpg", used.stderr


@pytest.mark.parametrize(("verb", "command"), sorted(leaves(get_command(app))))
def test_every_verb_writes_json_and_can_be_quiet(verb, command):
    names = {option for parameter in command.params for option in parameter.opts}
    assert {"--json", "--quiet"} <= names


LONG = {
    "ablate",
    "cache-features",
    "cross-eval",
    "embed",
    "evaluate",
    "prepare",
    "pretrain-decoder",
    "report",
    "synthesize",
    "train",
}


def test_every_long_verb_has_dry_run():
    verbs = {
        verb
        for verb, command in leaves(get_command(app))
        for parameter in command.params
        if "--dry-run" in parameter.opts
    }
    assert verbs >= LONG


def output_of_a_task(monkeypatch, width=80, terminal=True, term="xterm", **environment):
    """The output of a task on a terminal of this kind."""
    out = io.StringIO()
    terminal_console = Console(
        file=out,
        force_terminal=terminal,
        width=width,
        highlight=False,
        _environ={"TERM": term, **environment},
    )
    monkeypatch.setattr(console, "err", terminal_console)
    with ConsoleProgress().task("Training [x]", 30, "it") as task:
        for number in range(30):
            task.advance()
            task.detail(f"loss {number} triplet 0.28 cross_entropy 3.65 smoothness 0.0003 [end]")
    return out.getvalue()


@pytest.mark.parametrize("width", [10, 20, 40, 59, 60, 80, 109, 110, 200])
def test_the_count_fits_on_narrow_terminals(monkeypatch, width):
    output = output_of_a_task(monkeypatch, width=width)
    last = [line for line in output.split("\r") if "Trai" in line or "T" in line][-1]
    plain = Text.from_ansi(last).plain
    assert len(plain.splitlines()[0]) <= width
    assert ("30/30" in plain) == (width >= 20)
    assert "Training [x]" in plain or width < 60


def test_a_dumb_terminal_and_a_log_get_whole_lines(monkeypatch):
    monkeypatch.setattr(console, "LOG_EVERY_SECONDS", 0.0)
    for kind in ({"term": "dumb"}, {"terminal": False}):
        lines = output_of_a_task(monkeypatch, **kind).splitlines()
        assert len(lines) == 31
        assert lines[0].startswith("Training [x]: 1/30 it")
        assert lines[-1].startswith("Training [x]: 30/30 it")
        assert lines[-1].endswith("[end]")
        assert "\x1b" not in "".join(lines)


def test_without_colours(monkeypatch):
    output = output_of_a_task(monkeypatch, NO_COLOR="1")
    assert "30/30" in output
    assert "\x1b[3" not in output


PROGRAM = """
from lmgait_cli.console import ConsoleProgress, out, print_table
from lmgait_cli.main import app, run

@app.command()
def speak() -> None:
    progress = ConsoleProgress()
    progress.say("Größe → ±1")
    with progress.task("Übung", 3, "it") as task:
        task.advance(3)
    print_table("Größe", ("a", "±"), [("ü", str(n)) for n in range(3000)])

run()
"""


@pytest.mark.parametrize("columns", ["80", "20", "1"])
def test_an_ascii_locale_does_not_stop_the_command(home, columns):
    (home / "speak.py").write_text(PROGRAM, encoding="utf-8")
    result = shell(
        home,
        f"{sys.executable} speak.py speak",
        LC_ALL="C",
        PYTHONUTF8="0",
        PYTHONCOERCECLOCALE="0",
        PYTHONIOENCODING="ascii",
        COLUMNS=columns,
    )
    assert result.returncode == 0, result.stderr
    assert b"bung: 3/3 it" in result.stderr
    assert b"Traceback" not in result.stderr
    assert result.stdout.isascii()


def test_a_closed_reader_is_not_an_error(home):
    (home / "speak.py").write_text(PROGRAM, encoding="utf-8")
    code = f"{sys.executable} speak.py speak | head -n 2; echo ${{PIPESTATUS[0]}} >&2"
    result = shell(home, code, PYTHONUTF8="1")
    assert result.stderr.decode().splitlines()[-1] == "0"
    assert "Traceback" not in result.stderr.decode()
    assert len(result.stdout.splitlines()) == 2


def test_earlier_work_counts_but_not_in_the_rate(monkeypatch):
    monkeypatch.setattr(console, "LOG_EVERY_SECONDS", 0.0)
    now = [0.0]
    monkeypatch.setattr(console, "monotonic", lambda: now[0])
    monkeypatch.setattr(console, "err", Console(file=(log := io.StringIO()), width=80))
    with ConsoleProgress().task("Training", 400, "it", done=360) as task:
        for _ in range(2):
            now[0] += 5
            task.advance(10)
    assert [line.strip() for line in log.getvalue().splitlines()] == [
        "Training: 370/400 it, 2.0/s, 15 s left",
        "Training: 380/400 it, 2.0/s, 10 s left",
        "Training: 380/400 it, 2.0/s, 10 s left",
    ]


def test_a_bar_starts_at_the_earlier_work(monkeypatch):
    terminal_console = Console(
        file=(out := io.StringIO()), force_terminal=True, width=120, _environ={"TERM": "xterm"}
    )
    monkeypatch.setattr(console, "err", terminal_console)
    with ConsoleProgress().task("Training", 400, "it", done=360) as task:
        task.advance(3)
    assert "363/400" in out.getvalue()


def test_sizes_and_durations_have_fitting_units():
    assert [duration(s) for s in (0.4, 89, 100, 5400, 20_000)] == [
        "0 s",
        "89 s",
        "2 min",
        "1.5 h",
        "5.6 h",
    ]
    assert [size(n) for n in (5, 2048, 15 * 2**20, 3 * 2**30)] == [
        "5 bytes",
        "2.0 KiB",
        "15 MiB",
        "3.0 GiB",
    ]
    assert [size(n) for n in (0, 1, 999, 40_000)] == ["0 bytes", "1 byte", "999 bytes", "39 KiB"]


def test_a_single_unit_is_singular():
    assert [counted(n, "steps") for n in (0, 1, 2, 1460)] == [
        "0 steps",
        "1 step",
        "2 steps",
        "1,460 steps",
    ]
    assert counted(1, "checkpoints") == "1 checkpoint"
