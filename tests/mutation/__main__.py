"""Mutation testing of core/metrics: every small change of its code has to make a test fail.

    python -m tests.mutation [MODULE ...] [--processes N] [--first I] [--last J]

A mutant runs only the tests that reach its line, the quickest first, in a fork of one process that
has all libraries loaded; a line that runs at import, such as a constant's, has all of them. Those
that survive and change no number stand in `equivalent.txt` with the reason; any other makes the
exit code 1. What stands there and does not survive is told. (mutmut leaves out properties,
constants and decorated functions; cosmic-ray starts a process for each mutant, which spends its
time importing torch.)
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.abc
import importlib.util
import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import coverage
import pytest

from tests.mutation.operators import Mutant, mutants

ROOT = Path(__file__).parents[2]
HOME = ROOT / "core" / "metrics"
TESTS = ("tests/core/metrics", "tests/core/evaluation/test_score.py")
EQUIVALENT = Path(__file__).parent / "equivalent.txt"
SECONDS = 60
OPTIONS = [
    "-x",
    "-q",
    "--no-header",
    "-p",
    "no:cacheprovider",
    "--hypothesis-seed=0",
    "-W",
    "ignore:Module already imported",
]
# Loaded once, for all forks; nothing of core that imports core.metrics.
LOADED = (
    "numpy",
    "torch",
    "scipy.sparse",
    "pydantic",
    "h5py",
    "hypothesis",
    "yaml",
    "core.manifests",
    "core.storage.embeddings",
    "core.progress",
)


class _Clock:
    """Keeps how long each test took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid] += report.duration


def reached() -> tuple[dict[str, dict[int, list[str]]], list[str]]:
    """The tests that reach each line of each module, and all tests; the quickest first."""
    with tempfile.TemporaryDirectory() as folder:
        data, times = Path(folder) / "data", Path(folder) / "times.json"
        os.environ["COVERAGE_FILE"] = str(data)
        child = os.fork()
        if child == 0:
            clock = _Clock()
            words = [*OPTIONS, f"--cov={HOME}", "--cov-context=test", "--cov-report=", *TESTS]
            with _silent():
                code = int(pytest.main(words, plugins=[clock]))
            times.write_text(json.dumps(clock.seconds))
            os._exit(code)
        assert os.waitpid(child, 0)[1] == 0, "the tests fail without any mutant"
        found = coverage.CoverageData(str(data))
        found.read()
        lines = {path.stem: found.contexts_by_lineno(str(path)) for path in HOME.glob("[a-z]*.py")}
        seconds = json.loads(times.read_text())
    by_line = {
        module: {
            line: sorted({name.split("|")[0] for name in names if name}, key=seconds.__getitem__)
            for line, names in part.items()
        }
        for module, part in lines.items()
    }
    return by_line, sorted(seconds, key=seconds.__getitem__)


def start(module: str, mutant: Mutant, tests: Sequence[str]) -> int:
    """Begin to run tests against a mutant in a process of its own; returns its number."""
    child = os.fork()
    if child == 0:
        signal.alarm(SECONDS)  # an endless loop is noticed, too
        sys.meta_path.insert(0, _Finder(f"core.metrics.{module}", mutant.source))
        with _silent():
            code = int(pytest.main([*OPTIONS, *tests]))
        os._exit(code)
    return child


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives one module another source."""

    def __init__(self, name: str, source: str) -> None:
        self._name, self._source = name, source

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self._name:
            return None
        return importlib.util.spec_from_loader(fullname, self)

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self._source, f"<mutant of {self._name}>", "exec"), module.__dict__)


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    with Path(os.devnull).open("w") as nothing:
        os.dup2(nothing.fileno(), 1)
        os.dup2(nothing.fileno(), 2)
        yield


def outcomes(
    module: str,
    every: Sequence[Mutant],
    lines: dict[int, list[str]],
    tests: Sequence[str],
    processes: int,
) -> Iterator[tuple[Mutant, int]]:
    """The mutants with what their tests ended with: 0 if none of them noticed."""
    running: dict[int, Mutant] = {}
    waiting = list(reversed(every))
    while waiting or running:
        while waiting and len(running) < processes:
            mutant = waiting.pop()
            # A line that runs at import has no test of its own; others may have read its constant.
            running[start(module, mutant, lines.get(mutant.line) or tests)] = mutant
        child, status = os.wait()
        mutant, code = running.pop(child), os.waitstatus_to_exitcode(status)
        assert code < 3, f"pytest ended with {code} for {mutant.what}"
        yield mutant, code


def accepted() -> dict[str, set[str]]:
    """By module, the changes that change no number."""
    found: dict[str, set[str]] = defaultdict(set)
    waiting = ""
    for line in [*EQUIVALENT.read_text("utf-8").splitlines(), ""]:
        if line.startswith(" "):
            waiting = ""
        elif line and not line.startswith("#"):
            module, change = line.split(": ", 1)
            assert (HOME / f"{module}.py").exists(), f"no such module: {line}"
            assert change not in found[module], f"listed twice: {line}"
            found[module].add(change)
            waiting = line
        else:
            assert not waiting, f"no reason: {waiting}"
    return found


def entry(mutant: Mutant, listed: set[str]) -> str | None:
    """The line of the list that a mutant falls under: its own, or its statement's with a star."""
    before = mutant.what.split("  =>  ")[0]
    return next((text for text in (mutant.what, f"{before}  =>  *") if text in listed), None)


def stale(every: Sequence[Mutant], survived: Sequence[Mutant], listed: set[str]) -> Iterator[str]:
    """Lines of a module's list that do not say what is, each with what is wrong."""
    left = {entry(mutant, listed) for mutant in survived}
    noticed = Counter(mutant.what for mutant in every) - Counter(m.what for m in survived)
    for text in sorted(listed):
        if text not in left:
            yield f"{text}: no such mutant survives"
        elif noticed[text]:
            yield f"{text}: the same change elsewhere is noticed, and would be excused, too"


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("modules", nargs="*", help="modules of core/metrics; all by default")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--first", type=int, default=0, help="number of the first mutant")
    parser.add_argument("--last", type=int, default=10**6, help="number after the last")
    chosen = parser.parse_args()
    for name in LOADED:
        importlib.import_module(name)
    assert not any(name.startswith("core.metrics") for name in sys.modules)
    known, left, excused = accepted(), 0, 0
    lines, tests = reached()
    for module in chosen.modules or sorted(p.stem for p in HOME.glob("[a-z]*.py")):
        begun = time.monotonic()
        whole = list(mutants((HOME / f"{module}.py").read_text("utf-8")))
        every = whole[chosen.first : chosen.last]
        survived, late = [], 0
        for mutant, code in outcomes(module, every, lines[module], tests, chosen.processes):
            late += code == -signal.SIGALRM
            if code == 0:
                survived.append(mutant)
                if not entry(mutant, known[module]):
                    left += 1
                    print(f"SURVIVED {module}.py:{mutant.line}: {mutant.what}", flush=True)
        if len(every) == len(whole):
            for text in stale(every, survived, known[module]):
                print(f"STALE {EQUIVALENT.name}: {module}: {text}")
        same = sum(bool(entry(mutant, known[module])) for mutant in survived)
        excused += same
        spent = time.monotonic() - begun
        print(
            f"{module}: {len(every)} of {len(whole)} mutants, {len(survived)} survive, {same} of "
            f"them equivalent; {late} took too long; {spent:.0f} s",
            flush=True,
        )
    print(f"{left} survivors that change a number, {excused} equivalent")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
