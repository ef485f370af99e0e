"""What the command line sets for torch and OpenMP: in time, for workers too, and never over."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lmgait_cli.process import SPINS, set_environment

ROOT = Path(__file__).parents[2]
NAMES = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "THP_MEM_ALLOC_ENABLE")

# Runs the command, and tells what the environment was when torch and NumPy were looked for.
WATCHED = """
import atexit, json, os, sys

class Watch:
    seen = {}
    def find_spec(self, name, path=None, target=None):
        if name in ("torch", "numpy"):
            self.seen.setdefault(name, os.environ.get("GOMP_SPINCOUNT"))

sys.meta_path.insert(0, Watch())
atexit.register(lambda: print(json.dumps(Watch.seen, sort_keys=True), file=sys.__stderr__))
from lmgait_cli.main import run
run()
"""
# As the command line starts, then a worker as readers of data are started.
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
    """What a program writes to stderr, in an environment of these variables and none of NAMES."""
    plain = {name: value for name, value in os.environ.items() if name not in NAMES}
    done = subprocess.run(
        [sys.executable, *code, *map(str, arguments)],
        env={**plain, "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    return done.stderr


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
def test_what_the_user_has_set_stays(given, result):
    variables = dict(given)
    set_environment(variables)
    assert variables == result
    set_environment(variables)
    assert variables == result


def test_it_is_set_before_torch_and_numpy_are_imported(tmp_path):
    told = python(["-c", WATCHED], "evaluate", "--workspace", tmp_path)
    assert f'{{"numpy": "{SPINS}", "torch": "{SPINS}"}}' in told
    told = python(["-c", WATCHED], "evaluate", "--workspace", tmp_path, GOMP_SPINCOUNT="7")
    assert '{"numpy": "7", "torch": "7"}' in told
    told = python(["-c", WATCHED], "evaluate", "--workspace", tmp_path, OMP_WAIT_POLICY="PASSIVE")
    assert '{"numpy": null, "torch": null}' in told


@pytest.mark.skipif(sys.platform != "linux", reason="torch brings GNU OpenMP on Linux only")
@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({}, f"GOMP_SPINCOUNT = '{SPINS}'"),
        ({"GOMP_SPINCOUNT": "7"}, "GOMP_SPINCOUNT = '7'"),
        ({"OMP_WAIT_POLICY": "PASSIVE"}, "GOMP_SPINCOUNT = '0'"),
    ],
)
def test_openmp_of_a_worker_takes_it(tmp_path, given, line):
    program = tmp_path / "program.py"
    program.write_text(WITH_A_WORKER, "utf-8")
    told = python([program], OMP_DISPLAY_ENV="VERBOSE", **given)
    assert line in told
