"""The real command line in processes of its own, to be watched and killed."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import yaml

from tests.faults.prestarted import Prestarted, Stem

ROOT = Path(__file__).parents[2]
SABOTEUR = Path(__file__).parent / "saboteur"
# Small shards, so that there are many; all else is what the console script does.
SMALL_SHARDS = "import core.workflows.prepare as m; m.SHARD_FRAMES = 30; "
ENTRY = "from lmgait_cli.main import run; run()"
PATIENCE = 120.0
Process: TypeAlias = "subprocess.Popen[bytes] | Prestarted"


def seldom(*cases: object) -> list[Any]:
    """Cases of a test that an ordinary run has no time for (`nox -s faults` has)."""
    return [
        pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.faults)
        for case in cases
    ]


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code (a signal's number below zero) and all it printed."""

    code: int
    stdout: str
    stderr: str

    @property
    def told(self) -> str:
        """Everything printed, on one line."""
        return " ".join((self.stdout + self.stderr).split())


def python(arguments: Sequence[str], small_shards: bool = False) -> list[str]:
    """The words of ``lmgait ARGUMENTS``."""
    return [sys.executable, "-c", (SMALL_SHARDS if small_shards else "") + ENTRY, *arguments]


def environment(sabotage: bool = False, **more: str) -> dict[str, str]:
    """What a command is started with."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("LMGAIT", "FAULT"))}
    path = f"{SABOTEUR}{os.pathsep}{ROOT}" if sabotage else str(ROOT)
    return {"OMP_NUM_THREADS": "1", **kept, "PYTHONPATH": path, "COLUMNS": "200", **more}


def start(
    arguments: Sequence[str],
    log: Path,
    *,
    sabotage: bool = False,
    small_shards: bool = False,
    anew: bool = False,
    **more: str,
) -> Process:
    """Start ``lmgait ARGUMENTS`` in a session of its own; all that it prints goes to ``log``.

    Args:
        arguments: Its arguments.
        log: Where it prints to.
        sabotage: With the saboteur; ``more`` tells it what to do.
        small_shards: Cut stores into many shards.
        anew: With a Python of its own; else forked from one that has imported everything.
        more: More of its environment.
    """
    told = environment(sabotage, **more)
    if not anew:
        shards = 30 if small_shards else 0
        return stem().start(arguments, environment=told, out=log, err=log, shards=shards)
    with log.open("ab") as out:
        return subprocess.Popen(
            python(arguments, small_shards),
            env=told,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


@functools.cache
def stem(**more: str) -> Stem:
    """The one process that commands are forked from; ``more`` of its environment."""
    return Stem(environment(False, **more))


def run(*arguments: str | Path, **more: str) -> Ended:
    """Run ``lmgait ARGUMENTS`` to its end."""
    return run_in(None, arguments, more)


def run_anew(*arguments: str | Path, **more: str) -> Ended:
    """The same with a Python of its own, for all that is decided while it starts."""
    return run_in(None, arguments, more, anew=True)


def run_in(
    folder: Path | None,
    arguments: Sequence[str | Path],
    more: Mapping[str, str] | None = None,
    *,
    anew: bool = False,
) -> Ended:
    """Run ``lmgait ARGUMENTS`` to its end.

    Args:
        folder: The current one; where there is none, any.
        arguments: Its arguments.
        more: More of its environment.
        anew: With a Python of its own; else forked from one that has imported everything.
    """
    told = environment(False, **(more or {}))
    with tempfile.TemporaryDirectory() as name:
        out, err = (Path(name, stream) for stream in ("out", "err"))
        if anew:
            with out.open("wb") as stdout, err.open("wb") as stderr:
                code = subprocess.run(
                    python([str(word) for word in arguments]),
                    env=told,
                    cwd=folder,
                    stdin=subprocess.DEVNULL,
                    stdout=stdout,
                    stderr=stderr,
                    timeout=PATIENCE,
                    check=False,
                ).returncode
        else:
            process = stem().start(arguments, environment=told, out=out, err=err, folder=folder)
            code = process.wait(timeout=PATIENCE)
        return Ended(code, *(path.read_text(errors="replace") for path in (out, err)))


def finish(*arguments: str | Path, **more: str) -> Ended:
    """Run ``lmgait ARGUMENTS`` to its end, which must be a good one."""
    done = run(*arguments, **more)
    assert done.code == 0, done.told[-2000:]
    return done


def send(process: Process, number: int, *, everyone: bool = True) -> None:
    """Send a signal to the whole session, or to its first process alone."""
    with suppress(ProcessLookupError):
        (os.killpg if everyone else os.kill)(process.pid, number)


def alive(session: int) -> list[int]:
    """Processes of a session that still run."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(fields[3]) == session and fields[0] != "Z":
                found.append(int(entry.name))
    return found


def catches(process: int, number: int) -> bool:
    """Whether a process has a handler of its own for a signal."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("SigCgt:"):
            return bool(int(line.split()[1], 16) >> (number - 1) & 1)
    return False


def all_gone(session: int, seconds: float = 20.0) -> bool:
    """Whether a session's processes have ended, or do so soon."""
    deadline = time.monotonic() + seconds
    while alive(session):
        if time.monotonic() > deadline:
            send_all(session)
            return False
        time.sleep(0.02)
    return True


def send_all(session: int) -> None:
    """Kill what is left of a session."""
    for process in alive(session):
        os.kill(process, signal.SIGKILL)


def wait_for(condition: Callable[[], object], process: Process, seconds: float = PATIENCE) -> None:
    """Wait until ``condition()`` is true; the process must not have ended before."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, f"ended with {process.returncode}"
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.002)


def settings(path: Path, tree: dict[str, object]) -> list[str]:
    """Arguments that lay ``tree`` over the preset."""
    path.write_text(yaml.safe_dump(tree), encoding="utf-8")
    return ["--config", str(path)]
