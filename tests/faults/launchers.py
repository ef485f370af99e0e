"""Several processes of the command line, started by torchrun or accelerate."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from tests.faults.command import ROOT, environment

FORKED = "-m", "tests.fakes.launched"
PATIENCE = 240.0
HOST = socket.gethostname()


@dataclass(frozen=True)
class Launched:
    """How processes ended: the launcher's exit code, the processes' own, and all they printed."""

    code: int
    codes: dict[int, int]
    text: str

    @property
    def errors(self) -> list[str]:
        """The lines with errors of the processes, not of the launcher."""
        return [line for line in self.text.splitlines() if re.search(r"(^|: )Error: ", line)]


class Running:
    """A launcher and its processes, which torchrun puts into sessions of their own."""

    def __init__(self, command: Sequence[str], log: Path, **more: str) -> None:
        self._mark = f"TEST_LAUNCH={uuid4()}"
        name, value = self._mark.split("=")
        with log.open("w") as out:
            self.process = subprocess.Popen(
                command,
                env=environment(False, **more, **{name: value}),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def all(self) -> list[int]:
        """The launcher, if it runs, and all that it started."""
        marked = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                with suppress(OSError):
                    if self._mark.encode() in (entry / "environ").read_bytes().split(b"\0"):
                        marked.append(int(entry.name))
        return marked

    def send(self, number: int, *, everyone: bool) -> None:
        """Send a signal to the launcher, or to all at once."""
        for process in self.all() if everyone else [self.process.pid]:
            with suppress(ProcessLookupError):
                os.kill(process, number)

    def all_gone(self, seconds: float = 20.0) -> bool:
        """Whether all have ended, or do so soon."""
        deadline = time.monotonic() + seconds
        while self.all() and time.monotonic() < deadline:
            time.sleep(0.05)
        return not self.all()


def launcher(name: str, count: int) -> list[str]:
    """The first words of a launcher's command, up to the module that it starts."""
    python = [sys.executable, "-m"]
    if name == "torchrun":
        return [*python, "torch.distributed.run", "--nproc_per_node", str(count)]
    return [
        *python,
        "accelerate.commands.launch",
        "--multi_gpu",
        "--num_processes",
        str(count),
        "--num_machines",
        "1",
        "--mixed_precision",
        "no",
        "--dynamo_backend",
        "no",
        "--num_cpu_threads_per_process",
        "1",
        "--main_process_port",
        "0",
    ]


def launch(
    words: Sequence[str],
    *,
    what: str = "nothing",
    rank: int = 0,
    name: str = "torchrun",
    count: int = 2,
    meanwhile: Callable[[Running], None] | None = None,
    log: Path,
    **more: str,
) -> Launched:
    """Run ``lmgait WORDS`` in processes of a launcher to the end.

    Args:
        words: Arguments of ``lmgait``.
        what: What goes wrong (:mod:`tests.fakes.launched`).
        rank: In which process.
        name: ``torchrun`` or ``accelerate``.
        count: Processes.
        meanwhile: Called with the launcher while it runs.
        log: Gets all that is printed.
        more: More of its environment.
    """
    command = [*launcher(name, count), *FORKED, what, str(rank), *words]
    running = Running(command, log, **more)
    try:
        if meanwhile is not None:
            meanwhile(running)
        code = running.process.wait(timeout=PATIENCE)
        assert running.all_gone(), log.read_text()
    finally:
        running.send(signal.SIGKILL, everyone=True)
        running.process.wait()
    text = log.read_text()
    codes = re.findall(r"rank +: (\d+) .*\n +exitcode +: (-?\d+)", text)
    return Launched(code, {int(rank): int(ended) for rank, ended in codes}, text)
