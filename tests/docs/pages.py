"""Code in the documentation, and how the tests run it.

Every fenced block of a page runs, in order, in one folder of small walkers. Three things differ
from what a reader types, and nothing else:

- ``/data/CCPG`` and its like are folders of rendered walkers.
- Verbs that train get the settings of ``SHORT`` after their own, so that they end in seconds;
  ``synthesize`` gets ``FEW`` subjects and frames, ``ablate`` one seed, ``film`` small pictures,
  ``pretrain-encoders`` few steps and pictures.
- A block below ``<!-- not run: REASON -->`` is not run; its arguments are checked all the same.

A block below ``<!-- file: PATH -->`` is the content of that file, and is written there.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.main import get_command
from typer.testing import CliRunner

from core.models.families import DEFAULT_FAMILY, FAMILIES
from lmgait_cli.main import app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
SHELL, PYTHON, DATA = ("", "sh", "shell", "bash", "console"), ("python",), ("yaml", "json", "text")
SHORT = {
    "warmup.iterations": "2",
    "warmup.batch": "4",
    "train.iterations": "2",
    "data.identities": "3",
    "data.sequences": "2",
    "data.frames": "4",
    "data.workers": "0",
}
FEW = {
    "--train-subjects": "1",
    "--test-subjects": "1",
    "--frames": "4",
    "--seeds": "1",
    "--size": "320x240",
    "--steps": "2",
    "--pictures": "16",
    "--image": "tiny",
}
FOLDERS = {
    "/data/CCPG": "raw/ccpg",
    "/data/SUSTech1K": "raw/sustech1k",
    "/data/CASIA-B": "raw/casiab",
    "/data/lmgait": "other-workspace",
}
FENCE = re.compile(
    r"(?P<before>(?:<!--[^>]*-->\s*\n+)*)^(?P<fence>```+)(?P<kind>\w*)[^\n]*\n(?P<code>.*?)^(?P=fence)",
    re.MULTILINE | re.DOTALL,
)
# What is not checked: other programs, and words of a shell.
OTHERS = (
    "pip",
    "python3.11",
    "git",
    "mkdocs",
    "scontrol",
    "export",
    "trap",
    "wait",
    "test",
    "exec",
)
SKIP = re.compile(r"<!-- not run: (.+?) -->")
NAMED = re.compile(r"<!-- file: (\S+) -->")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        kind: Its language.
        code: Its text.
        line: Where it begins.
        reason: Why it is not run; None: it runs.
        file: The file that it is, below the current folder; None: it is none.
    """

    kind: str
    code: str
    line: int
    reason: str | None
    file: Path | None = None

    @property
    def lines(self) -> list[str]:
        """Shell commands, continued lines joined, without comments."""
        joined = self.code.replace("\\\n", " ").splitlines()
        words = [shlex.join(shlex.split(line, comments=True)) for line in joined]
        return [line for line in words if line]


def blocks(text: str) -> list[Block]:
    """All fenced blocks of a page."""
    found = []
    for match in FENCE.finditer(text):
        skip, named = SKIP.search(match["before"]), NAMED.search(match["before"])
        line = text.count("\n", 0, match.start("fence")) + 1
        file = None if named is None else Path(named[1])
        found.append(Block(match["kind"], match["code"], line, skip and skip[1], file))
    return found


def inline(text: str) -> list[str]:
    """Commands in the text and in tables: spans that begin with ``lmgait`` and a verb."""
    prose = FENCE.sub("", text)
    spans = (" ".join(span.split()) for span in re.findall(r"`(lmgait [a-z][^`]*)`", prose))
    return [span for span in spans if span != "lmgait"]


def parse(words: list[str]) -> tuple[Any, Any, list[str]]:
    """The verb of a command line ``lmgait …`` with its context, arguments checked, nothing run."""
    command: Any = get_command(app)
    path = [words[0]]
    context = command.make_context("lmgait", list(words[1:]))
    rest = [*getattr(context, "_protected_args", ()), *context.args]
    while hasattr(command, "commands"):
        name, command, rest = command.resolve_command(context, rest)
        assert command is not None
        path.append(str(name))
        last = not hasattr(command, "commands")
        context = command.make_context(name, list(rest), parent=context)
        rest = rest if last else [*getattr(context, "_protected_args", ()), *context.args]
    return context, command, path


def commands(line: str) -> Iterator[list[str]]:
    """Words of the commands joined by ``&&``, without variables and folders in front."""
    words: list[str] = []
    for word in [*shlex.split(line), "&&"]:
        if word == "&&":
            yield words
            words = []
        elif words or not re.fullmatch(r"[A-Z_]+=\S*", word):
            words.append(word if words else word.removeprefix(".venv/bin/"))


def without_launcher(words: list[str]) -> list[str]:
    """The command that a launcher starts; the launcher's own parser checks its own options.

    Raises:
        SystemExit: an option that the launcher does not have.
    """
    if words[0] == "srun":
        inner = next(at for at, word in enumerate(words[1:], 1) if not word.startswith("--"))
        return without_launcher(words[inner:])
    if words[0] == "torchrun":
        from torch.distributed.run import get_args_parser

        parser, options = get_args_parser(), words[1:]
    elif words[:2] == ["accelerate", "launch"]:
        from accelerate.commands.launch import launch_command_parser

        parser, options = launch_command_parser(), words[2:]
    else:
        return words
    parser.allow_abbrev = False
    given = parser.parse_args(options)
    assert not given.module or given.training_script == "lmgait_cli", words
    assert given.module or Path(given.training_script).name == "lmgait", words
    return ["lmgait", *(word for word in given.training_script_args if word != "&")]


def check(words: list[str]) -> None:
    """Check a command that is not run as far as that is possible here."""
    words = without_launcher(words)
    launched = [place for place, word in enumerate(words) if Path(word).name == "lmgait"]
    if launched:
        context, _, _ = parse(words[launched[0] :])
        check_settings(context.params)
    elif words[1:2] == ["-m"] and words[2].startswith("benchmarks"):
        from benchmarks.__main__ import NAMES

        if words[2] == "benchmarks":
            assert words[3:4] == [] or words[3] in NAMES, words
        else:
            assert (ROOT / (words[2].replace(".", "/") + ".py")).is_file(), words
    elif words[0] == "nox":
        check_sessions(words)
    else:
        assert words[0] in OTHERS, f"unknown command: {words}"


def check_settings(given: dict[str, Any]) -> None:
    """Resolve the configuration that a verb's arguments describe."""
    from core.config import resolve_config

    if "preset" in given and "settings" in given:
        ablation = given.get("ablation")
        one = ablation if isinstance(ablation, str) else None
        resolve_config(str(given["preset"]), ablation=one, overrides=given["settings"] or ())


def check_sessions(words: list[str]) -> None:
    """Sessions that are named exist."""
    text = (ROOT / "noxfile.py").read_text()
    named = words[words.index("-s") + 1 :] if "-s" in words else []
    for name in named[: named.index("--")] if "--" in named else named:
        assert f"def {name}(" in text, name


def run(words: list[str]) -> str:
    """Run one `lmgait` command in the current folder and return what it prints."""
    target = None
    if ">" in words:
        words, target = words[: words.index(">")], words[-1]
    done = CliRunner().invoke(app, shortened(substituted(words))[1:])
    assert done.exit_code == 0, f"{shlex.join(words)}\n{done.output}\n{done.exception!r}"
    if target is not None:
        Path(target).write_text(done.stdout, encoding="utf-8")
    return done.output


def substituted(words: list[str]) -> list[str]:
    """Words with the folders of real datasets replaced."""
    return [FOLDERS.get(word, word) for word in words]


def shortened(words: list[str]) -> list[str]:
    """The command with what makes it short at its end, where it wins."""
    _, command, path = parse(words)
    names = {option for parameter in command.params for option in parameter.opts}
    extra: list[str] = []
    if "--set" in names and "--preset" in names and path[1] != "config":
        short = SHORT
        model = words[words.index("--model") + 1] if "--model" in words else DEFAULT_FAMILY
        if not FAMILIES[model].warmups:
            short = {key: value for key, value in SHORT.items() if not key.startswith("warmup")}
        extra += [part for key, value in short.items() for part in ("--set", f"{key}={value}")]
    extra += [part for key, value in FEW.items() if key in names for part in (key, value)]
    return [*words, *extra]
