"""Everything that the pages tell a reader to type works; see pages.py for how it is run."""

from pathlib import Path

import pytest
import typer
import yaml
from typer.main import get_command

from core.errors import ConfigError
from lmgait_cli.main import app
from tests.docs.pages import (
    DATA,
    PAGES,
    PYTHON,
    ROOT,
    SHELL,
    blocks,
    check,
    commands,
    inline,
    parse,
    run,
)

# What an example needs beside the folder of the pages, and examples that take minutes.
FILM, ENROLL = "lmgait film anna.mp4", "lmgait enroll people.safetensors Anna anna.mp4"
FIRST = {
    "merge": ["lmgait prepare ccpg /data/CCPG --workspace /data/lmgait --part 1/1"],
    "enroll": [FILM],
    "identify": [FILM, ENROLL, "lmgait film door.mp4 --take 2"],
}
# Too long, or of a file that others publish; tests/core/workflows/test_import_weights.py has one.
NOT_RUN = (
    "lmgait demo",
    "lmgait import-weights GaitBase-60000.pt --model gaitbase --dataset ccpg",
)
# What the parser of the command line raises.
MISTAKES = (typer.BadParameter.__mro__[1],)
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


def examples(command, path=()):
    for name, inner in getattr(command, "commands", {}).items():
        yield from examples(inner, (*path, name))
    for line in (command.help or "").splitlines():
        if line.strip().startswith("Example:"):
            yield line.split("Example:")[1].strip()


@pytest.mark.parametrize("page", NAMES)
def test_every_block_of_a_page_runs_in_order(page, here):
    variables: dict[str, object] = {}
    for block in blocks((ROOT / page).read_text("utf-8")):
        assert block.kind in SHELL + PYTHON + DATA, f"line {block.line}: {block.kind}"
        if block.file is not None:
            block.file.parent.mkdir(exist_ok=True)
            block.file.write_text(block.code, encoding="utf-8")
        if block.kind in ("yaml", "json"):
            assert yaml.safe_load(block.code), f"line {block.line}"
        elif block.kind in PYTHON:
            code = compile(block.code, f"{page}:{block.line}", "exec")
            if block.reason is None and block.file is None:
                exec(code, variables)
        elif block.kind in SHELL:
            for line in block.lines:
                for words in commands(line):
                    assert block.reason or words[0] == "lmgait", f"line {block.line}: {line}"
                    if block.reason is None:
                        run(words)
                    else:
                        check(words)


@pytest.mark.parametrize(
    "line",
    [
        "torchrun --nproc-per-nod 2 -m lmgait_cli train",
        "torchrun --nproc_per_node 2 -m lmgait train",
        "torchrun --nproc_per_node 2 -m lmgait_cli train --dataset ccpg --presets paper",
        "torchrun --nproc_per_node 2 -m lmgait_cli train --set train.rate=1",
        "accelerate launch --num_process_count 2 -m lmgait_cli train",
        "accelerate launch --num_processes 2 -m lmgait_cli trains",
        "srun --nodes=2 torchrun --nnodes 2 --rdzv 1 -m lmgait_cli train",
    ],
)
def test_a_mistake_in_a_launched_command_is_seen(line):
    with pytest.raises((SystemExit, AssertionError, ConfigError, *MISTAKES)):
        check(line.split())


@pytest.mark.parametrize("page", NAMES)
def test_commands_in_the_text_name_verbs_and_options_that_exist(page):
    for span in inline((ROOT / page).read_text("utf-8")):
        command, words = get_command(app), span.split()[1:]
        while hasattr(command, "commands") and words and words[0] in command.commands:
            command, words = command.commands[words[0]], words[1:]
        assert not hasattr(command, "commands") or not words, f"no such verb: {span}"
        known = {option for parameter in command.params for option in parameter.opts}
        named = {word.split("=")[0] for word in words if word.startswith("--")}
        assert named <= known | {"--help"}, f"no such option: {span}"


@pytest.mark.parametrize("example", sorted(examples(get_command(app))))
def test_the_example_in_a_verb_s_help_runs(example, here):
    words = example.split()
    parse(words[: words.index(">")] if ">" in words else words)
    Path("people.safetensors").unlink(missing_ok=True)  # a page's, of another model
    for line in FIRST.get(words[1], ()):
        run(line.split())
    if example not in NOT_RUN:
        run(words)
