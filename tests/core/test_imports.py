"""Imports point one way: up the table of CONTRIBUTING.md, and from the command line to `core`."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Verbs that are made of other verbs.
MADE_OF_VERBS = {"ablate", "demo"}


def packages() -> list[str]:
    """Names in the first column of CONTRIBUTING's table, from the lowest to the highest."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    table = text.split("| Package | Purpose |", 1)[1].split("\n\n", 1)[0]
    cells = re.findall(r"^\| (`[^|]*) \|", table, re.MULTILINE)
    names = [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]
    return [name.removesuffix("/").removesuffix(".py") for name in names]


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Dotted names that a module imports, wherever in it; with the names taken from them."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def package_of(dotted: str) -> str | None:
    first, _, rest = dotted.partition(".")
    return rest.partition(".")[0] if first == "core" and rest else None


def test_the_table_names_every_package_once():
    here = {path.stem for path in (ROOT / "core").iterdir() if path.suffix == ".py"}
    here |= {path.name for path in (ROOT / "core").iterdir() if (path / "__init__.py").is_file()}
    assert sorted(packages()) == sorted(here - {"__init__"})


def test_core_imports_up_the_table_alone():
    order = {name: place for place, name in enumerate(packages())}
    wrong = []
    for path in modules("core"):
        own = path.relative_to(ROOT / "core").parts[0].removesuffix(".py")
        if own == "__init__":
            continue
        for dotted in imports(path):
            other = package_of(dotted)
            if other in order and order[other] > order[own]:
                wrong.append(f"{path.relative_to(ROOT)} imports {dotted}")
    assert not wrong


def test_a_verb_imports_no_other_verb():
    verbs = {path.stem for path in modules("core/workflows")} - {"__init__"}
    for name in sorted(verbs - MADE_OF_VERBS):
        path = ROOT / "core" / "workflows" / f"{name}.py"
        others = {dotted.split(".")[2] for dotted in imports(path) if "core.workflows." in dotted}
        assert not others & verbs, f"{name} imports {others & verbs}"


def test_core_imports_nothing_of_the_command_line():
    above = ("lmgait_cli", "typer", "rich")
    wrong = [
        f"{path.relative_to(ROOT)} imports {dotted}"
        for path in modules("core")
        for dotted in imports(path)
        if dotted.split(".")[0] in above
    ]
    assert not wrong
