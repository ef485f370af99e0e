"""Names and texts of the finished packages are in plain English (CONTRIBUTING, "Habits")."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Packages and files of core that are finished, with their tests.
PACKAGES = """
data losses manifests metrics pretraining sources storage synthetic system tracking video
errors.py inputs.py progress.py records.py settings.py steps.py
"""
# A value is named for what it is, not by what happened to it.
PARTICIPLE = re.compile(
    "_*(asked|done|found|given|gone|held|kept|made|meant|said|seen|shown|taken|told|wanted)_*"
)
PHRASE = re.compile(r"\b((?<!here )(is|are) no|(is|are) (told|said)|goes on|go on|anew|nobody)\b")
# All packages use this parameter of `Progress.task`.
ALLOWED = {("task", "done")}


def names_of(node: ast.AST) -> list[str]:
    """Names that one node binds: assigned names, attributes, definitions, arguments."""
    if isinstance(node, ast.Name):
        return [node.id] if isinstance(node.ctx, ast.Store) else []
    if isinstance(node, ast.Attribute):
        return [node.attr] if isinstance(node.ctx, ast.Store) else []
    if isinstance(node, ast.ExceptHandler):
        return [node.name or ""]
    if isinstance(node, ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.FunctionDef):
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        arguments += filter(None, (node.args.vararg, node.args.kwarg))
        return [node.name, *(one.arg for one in arguments if (node.name, one.arg) not in ALLOWED)]
    return []


def texts_of(node: ast.AST) -> Iterator[str]:
    """The summary of a docstring, or the messages of an error that is raised."""
    if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef):
        yield (ast.get_docstring(node) or "").split("\n\n")[0]
    elif isinstance(node, ast.Raise) and node.exc is not None:
        for part in ast.walk(node.exc):
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                yield part.value


def faults(source: str) -> list[str]:
    """``line: name or text`` of each fault of a file."""
    lines = []
    for node in ast.walk(ast.parse(source)):
        wrong = [name for name in names_of(node) if PARTICIPLE.fullmatch(name)]
        wrong += [text for text in texts_of(node) if PHRASE.search(text)]
        lines += [f"{getattr(node, 'lineno', 1)}: {text}" for text in wrong]
    return lines


@pytest.mark.parametrize("name", PACKAGES.split())
def test_names_and_texts_of_a_package_are_plain_english(name):
    paths = [ROOT / "core" / name, ROOT / "tests" / "core" / name]
    files = [f for path in paths for f in ([path] if path.suffix else path.rglob("*.py"))]
    sources = {file: file.read_text("utf-8") for file in files if file.is_file()}
    assert sources
    lines = [
        f"{file.relative_to(ROOT)}:{line}" for file in sources for line in faults(sources[file])
    ]
    assert not lines, "\n".join(lines)


def test_each_kind_of_fault_is_reported():
    source = 'def f(told):\n    """It is no file."""\n    x.kept = 1\n    raise E("a is said")\n'
    assert faults(source) == ["1: told", "1: It is no file.", "4: a is said", "3: kept"]
