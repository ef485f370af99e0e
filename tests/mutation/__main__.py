"""Mutation testing of core/metrics: every small change of its code has to make a test fail.

    python -m tests.mutation [MODULE ...] [--first I] [--last J]

A mutant runs only the tests that reach its line, in a fork of one process that has all libraries
loaded. Those that survive and change no number stand in `equivalent.txt` with the reason; any other
survivor makes the exit code 1. (mutmut leaves out properties, constants and decorated functions,
cosmic-ray starts a process for each mutant: an hour, most of it importing torch.)
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.abc
import importlib.util
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import coverage
import pytest

from tests.mutation.operators import Mutant, mutants

ROOT = Path(__file__).parents[2]
HOME = ROOT / "core" / "metrics"
TESTS = ("tests/core/metrics", "tests/core/workflows/test_score.py")
EQUIVALENT = Path(__file__).parent / "equivalent.txt"
SECONDS = 60
OPTIONS = ["-x", "-q", "--no-header", "-p", "no:cacheprovider", "-p", "no:randomly",
           "--hypothesis-seed=0"]  # fmt: skip


def reached() -> dict[str, dict[int, list[str]]]:
    """The tests that reach each line of each module, from one run under coverage."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        os.environ["COVERAGE_FILE"] = str(data)
        child = os.fork()
        if child == 0:
            words = [*OPTIONS, f"--cov={HOME}", "--cov-context=test", "--cov-report=", *TESTS]
            with _silent():
                code = int(pytest.main(words))
            os._exit(code)
        assert os.waitpid(child, 0)[1] == 0, "the tests fail without any mutant"
        found = coverage.CoverageData(str(data))
        found.read()
        lines = {path.stem: found.contexts_by_lineno(str(path)) for path in HOME.glob("[a-z]*.py")}
    return {
        module: {
            line: sorted({context.split("|")[0] for context in contexts if context})
            for line, contexts in part.items()
        }
        for module, part in lines.items()
    }


def survives(module: str, mutant: Mutant, tests: Sequence[str]) -> bool:
    """Run tests against a mutant in a process of its own."""
    child = os.fork()
    if child == 0:
        signal.alarm(SECONDS)  # an endless loop is noticed, too
        sys.meta_path.insert(0, _Finder(f"core.metrics.{module}", mutant.source))
        with _silent():
            code = int(pytest.main([*OPTIONS, *tests]))
        os._exit(code)
    status = os.waitpid(child, 0)[1]
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, 1, 2, -signal.SIGALRM) or code < 0, f"pytest ended with {code}"
    return code == 0


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


def accepted() -> set[tuple[str, str]]:
    """(module, change) of the mutants that change no number."""
    found = set()
    for line in EQUIVALENT.read_text("utf-8").splitlines():
        if line and not line.startswith(("#", " ")):
            module, change = line.split(": ", 1)
            found.add((module, change))
    return found


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("modules", nargs="*", help="modules of core/metrics; all by default")
    parser.add_argument("--first", type=int, default=0, help="number of the first mutant")
    parser.add_argument("--last", type=int, default=10**6, help="number after the last")
    chosen = parser.parse_args()
    import numpy
    import pydantic
    import scipy.sparse
    import torch

    del numpy, pydantic, scipy, torch  # loaded once, for all forks
    known, left, used, tests = accepted(), 0, set(), reached()
    for module in chosen.modules or sorted(p.stem for p in HOME.glob("[a-z]*.py")):
        begun, count = time.monotonic(), 0
        lines = tests[module]
        whole = sorted({test for tests in lines.values() for test in tests})
        every = list(mutants((HOME / f"{module}.py").read_text("utf-8")))
        for mutant in every[chosen.first : chosen.last]:
            count += 1
            # A line that runs at import has no test of its own.
            if not survives(module, mutant, lines.get(mutant.line) or whole or TESTS):
                continue
            if (module, mutant.what) in known:
                used.add((module, mutant.what))
                continue
            left += 1
            print(f"SURVIVED {module}.py:{mutant.line}: {mutant.what}", flush=True)
        print(f"{module}: {count} of {len(every)} mutants, "
              f"{time.monotonic() - begun:.0f} s", flush=True)  # fmt: skip
    print(f"{left} survivors that change a number, {len(used)} equivalent")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
