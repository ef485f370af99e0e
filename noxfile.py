"""Checks, each a short session; `nox` alone runs all that need no GPU.

Sessions run in the environment that nox itself was installed into: nothing is installed twice.
"""

import os
import sys

import nox

nox.options.default_venv_backend = "none"
nox.options.sessions = ["lint", "types", "tests"]

PYTHON = sys.executable
CODE = ("core", "lmgait_cli", "benchmarks", "tests", "examples", "noxfile.py")
# A test process for each core.
EACH_CORE = ("-n", "auto", "--dist", "loadfile")
# Sessions of their own.
WITHOUT = ("--ignore=tests/smoke", "--ignore=tests/browser")
# One thread each, or what the environment says; threads that wait leave their core to others.
THREADS = {
    "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
    "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "PASSIVE"),
}
# Older processors, as far as the libraries that compute can be made to work like on one.
PROCESSORS = {
    "old": {
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "MKL_CBWR": "COMPATIBLE",
        "OPENBLAS_CORETYPE": "Nehalem",
        "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4",
        "OPENCV_CPU_DISABLE": "AVX,AVX2,AVX512-SKX",
    },
    "avx2": {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
    "this": {},
}


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff: style, imports, docstrings, formatting."""
    session.run(PYTHON, "-m", "ruff", "check", *CODE)
    session.run(PYTHON, "-m", "ruff", "format", "--check", *CODE)


@nox.session
def types(session: nox.Session) -> None:
    """Mypy, strict."""
    session.run(PYTHON, "-m", "mypy")


@nox.session
def tests(session: nox.Session) -> None:
    """All tests but the browser's; arguments go to pytest (`nox -s tests -- -k storage`)."""
    browser = "--ignore=tests/browser"
    session.run(PYTHON, "-m", "pytest", browser, *EACH_CORE, *session.posargs, env=THREADS)


@nox.session
@nox.parametrize("threads", [1, 2])
@nox.parametrize("processor", list(PROCESSORS))
def processors(session: nox.Session, processor: str, threads: int) -> None:
    """The unit tests as other x86 processors round, with one thread and with two; six long runs."""
    told = {**THREADS, **PROCESSORS[processor], "OMP_NUM_THREADS": str(threads)}
    session.run(PYTHON, "-m", "pytest", *WITHOUT, *EACH_CORE, *session.posargs, env=told)


@nox.session
def encoders(session: nox.Session) -> None:
    """Make the encoders anew, in hours: `nox -s encoders -- FOLDER --steps 24000`."""
    session.run("lmgait", "pretrain-encoders", *session.posargs)
    session.run(PYTHON, "-m", "core.pretraining.ship", session.posargs[0])


@nox.session
def smoke(session: nox.Session) -> None:
    """Every verb through the command line, on walkers, in a few minutes; part of `tests`."""
    session.run(PYTHON, "-m", "pytest", "tests/smoke", *session.posargs, env=THREADS)


@nox.session
def faults(session: nox.Session) -> None:
    """Break the command line on purpose in every way that tests/faults knows; some minutes."""
    session.run(
        PYTHON,
        "-m",
        "pytest",
        "tests/faults",
        "tests/core/training/test_processes.py",
        "tests/core/models/test_family_export.py",
        "tests/core/workflows/test_families.py",
        *session.posargs,
        env={**THREADS, "LMGAIT_FAULTS": "1"},
    )


@nox.session
def kills(session: nox.Session) -> None:
    """Kill every long verb at random moments and compare; `nox -s kills -- --kills 200`."""
    session.run(PYTHON, "-m", "tests.faults.campaign", *session.posargs, env=THREADS)


@nox.session
def mutation(session: nox.Session) -> None:
    """Change core/metrics in every small way; each change of a number fails a test (20 minutes)."""
    session.run(PYTHON, "-m", "tests.mutation", *session.posargs, env=THREADS)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Mutated files into every reader, ten minutes (`LMGAIT_FUZZ_SECONDS`); keeps its findings."""
    seconds = os.environ.get("LMGAIT_FUZZ_SECONDS", "600")
    seed = os.environ.get("LMGAIT_FUZZ_SEED", "1")
    told = {"LMGAIT_FUZZ_SECONDS": seconds, "LMGAIT_FUZZ_SEED": seed, **THREADS}
    session.run(PYTHON, "-m", "pytest", "tests/fuzz", *session.posargs, env=told)


@nox.session
def gpu(session: nox.Session) -> None:
    """What a GPU computes against the CPU, at the paper's sizes; two GPUs where there are two.

    `LMGAIT_TEST_DEVICE=cpu nox -s gpu` runs the same tests on the CPU, with small sizes.
    """
    device = os.environ.get("LMGAIT_TEST_DEVICE", "cuda")
    # The CPU that a GPU is compared with computes at the paper's sizes, too.
    threads = os.environ.get("OMP_NUM_THREADS", str(os.cpu_count() or 1))
    told = {"LMGAIT_TEST_DEVICE": device, **THREADS}
    told |= {"OMP_NUM_THREADS": threads} if device == "cuda" else {}
    session.run(PYTHON, "-m", "pytest", "tests/gpu", "-m", "gpu", *session.posargs, env=told)


@nox.session
def coverage(session: nox.Session) -> None:
    """Branch coverage of the unit tests."""
    session.run(PYTHON, "-m", "pytest", *WITHOUT, "--cov", "--cov-report=term-missing")


@nox.session
def browser(session: nox.Session) -> None:
    """Look at a report in a browser; needs Chromium, playwright and axe-core.

    On Debian: `apt-get install chromium`, `pip install playwright` (it downloads no browser by
    itself), `npm pack axe-core` and its `package/axe.min.js` in `LMGAIT_AXE`. `LMGAIT_CHROMIUM` is
    the browser where it is not `/usr/bin/chromium`, `LMGAIT_REPORT` a report to look at beside the
    tests' own, `LMGAIT_SHOTS` a folder for screenshots.
    """
    if not os.environ.get("LMGAIT_AXE"):
        session.error("LMGAIT_AXE has to name axe-core's axe.min.js; see this session's docstring.")
    session.run(PYTHON, "-c", "import playwright")
    session.run(PYTHON, "-m", "pytest", "tests/browser", *session.posargs)
