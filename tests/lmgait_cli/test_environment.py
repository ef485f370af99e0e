"""Environment variables for torch and OpenMP: set in time, inherited, never overridden."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lmgait_cli.process import SPINS, set_environment

ROOT = Path(__file__).parents[2]
NAMES = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "THP_MEM_ALLOC_ENABLE")

# Runs the command and prints the environment at the time torch and NumPy were first imported.
WATCHED = """
import atexit, json, os, sys

class Watch:
    values = {}
    def find_spec(self, name, path=None, target=None):
        if name in ("torch", "numpy"):
            self.values.setdefault(name, os.environ.get("GOMP_SPINCOUNT"))

sys.meta_path.insert(0, Watch())
atexit.register(lambda: print(json.dumps(Watch.values, sort_keys=True), file=sys.__stderr__))
from lmgait_cli.main import run
run()
"""
# Starts like the command line, then starts a worker like a data reader.
WITH_A_WORKER = """
import importlib, os
from core.system.workers import worker_context
from lmgait_cli.process import set_environment

if __name__ == "__main__":
    set_environment(os.environ)
    process = worker_context().Process(target=importlib.import_module, args=("torch",))
    process.start()
    process.join()
"""


def python(code, *arguments, **variables):
    """The stderr of a program that runs with these variables and without those of NAMES."""
    plain = {name: value for name, value in os.environ.items() if name not in NAMES}
    result = subprocess.run(
        [sys.executable, *code, *map(str, arguments)],
        env={**plain, "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    return result.stderr


@pytest.mark.parametrize(
    ("given", "result"),
    [
        ({}, {"GOMP_SPINCOUNT": SPINS, "THP_MEM_ALLOC_ENABLE": "1"}),
        ({"GOMP_SPINCOUNT": "7"}, {"GOMP_SPINCOUNT": "7", "THP_MEM_ALLOC_ENABLE": "1"}),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, {"OMP_WAIT_POLICY": "ACTIVE", "THP_MEM_ALLOC_ENABLE": "1"}),
        (
            {"OMP_WAIT_POLICY": "passive", "THP_MEM_ALLOC_ENABLE": "0"},
            {"OMP_WAIT_POLICY": "passive", "THP_MEM_ALLOC_ENABLE": "0"},
        ),
    ],
)
def test_variables_set_by_the_user_are_kept(given, result):
    variables = dict(given)
    set_environment(variables)
    assert variables == result
    set_environment(variables)
    assert variables == result


def test_variables_are_set_before_torch_and_numpy_are_imported(tmp_path):
    stderr = python(["-c", WATCHED], "evaluate", "--workspace", tmp_path)
    assert f'{{"numpy": "{SPINS}", "torch": "{SPINS}"}}' in stderr
    stderr = python(["-c", WATCHED], "evaluate", "--workspace", tmp_path, GOMP_SPINCOUNT="7")
    assert '{"numpy": "7", "torch": "7"}' in stderr
    stderr = python(["-c", WATCHED], "evaluate", "--workspace", tmp_path, OMP_WAIT_POLICY="PASSIVE")
    assert '{"numpy": null, "torch": null}' in stderr


@pytest.mark.skipif(sys.platform != "linux", reason="torch brings GNU OpenMP on Linux only")
@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({}, f"GOMP_SPINCOUNT = '{SPINS}'"),
        ({"GOMP_SPINCOUNT": "7"}, "GOMP_SPINCOUNT = '7'"),
        ({"OMP_WAIT_POLICY": "PASSIVE"}, "GOMP_SPINCOUNT = '0'"),
    ],
)
def test_openmp_in_a_worker_uses_the_variables(tmp_path, given, line):
    program = tmp_path / "program.py"
    program.write_text(WITH_A_WORKER, "utf-8")
    stderr = python([program], OMP_DISPLAY_ENV="VERBOSE", **given)
    assert line in stderr
