"""The real command line in processes of its own, to be killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
ENTRY = "from lmgait_cli.main import run; run()"


def start(*arguments: str, log: Path | None = None, **environment: str) -> subprocess.Popen[bytes]:
    """Start ``lmgait ARGUMENTS`` in a session of its own; its output goes to ``log``."""
    told = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment}
    with (log or Path(os.devnull)).open("ab") as out:
        return subprocess.Popen(
            [sys.executable, "-c", ENTRY, *arguments],
            env=told, stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip


def finish(*arguments: str, log: Path) -> None:
    """Run ``lmgait ARGUMENTS`` to its end, which must be a good one."""
    code = start(*arguments, log=log).wait(timeout=600)
    assert code == 0, log.read_text(errors="replace")[-2000:]


def kill(process: subprocess.Popen[bytes], number: int = signal.SIGKILL) -> None:
    """Kill the whole session; workers too, as a power cut would."""
    os.killpg(process.pid, number)
    process.wait(timeout=60)


def settings(path: Path, tree: dict[str, object]) -> Sequence[str]:
    """Arguments that lay ``tree`` over the preset."""
    path.write_text(yaml.safe_dump(tree), encoding="utf-8")
    return "--config", str(path)
