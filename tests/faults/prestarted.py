"""Commands in processes of their own that need not import PyTorch first.

One process imports what the verbs import, and is forked for each command: what runs then is the
console script's own function, or a module of the tests, with its arguments, in a session of its
own. A command that takes five seconds to begin takes a tenth of one, so there is time for many
more.
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

SABOTEUR = Path(__file__).parent / "saboteur" / "sitecustomize.py"
POLL_SECONDS = 0.005


class Prestarted:
    """A command that was started; as much of ``subprocess.Popen`` as the tests use."""

    def __init__(self, stem: Stem, pid: int) -> None:
        self._stem, self.pid = stem, pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Its exit code (a signal's number below zero), or None while it runs."""
        if self.returncode is None:
            self.returncode = self._stem.ask(poll=self.pid)
        return self.returncode

    def wait(self, timeout: float = 120.0) -> int:
        """Wait for its end (raises ``subprocess.TimeoutExpired``)."""
        deadline = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("lmgait", timeout)
            time.sleep(POLL_SECONDS)
        return code


class Stem:
    """The process that is forked, for as long as this one lives."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from tests.faults.prestarted import serve; serve()"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(
        self,
        words: Sequence[str | Path],
        *,
        environment: Mapping[str, str],
        out: Path,
        err: Path,
        shards: int = 0,
        module: str = "",
        folder: Path | None = None,
    ) -> Prestarted:
        """Start a command.

        Args:
            words: Its arguments.
            environment: All of its environment. What is read while PyTorch is loaded, as
                ``OMP_NUM_THREADS``, it has from the process that is forked.
            out: Gets what it prints.
            err: Gets its errors.
            shards: Frames of a shard, where it prepares a store; 0 is the usual number.
            module: Run as ``python -m`` does; the command line where there is none.
            folder: The current one; where there is none, that of the process that is forked.
        """
        pid = self.ask(
            words=[str(word) for word in words],
            environment=dict(environment),
            out=str(out),
            err=str(err),
            shards=shards,
            module=module,
            folder=str(folder or ""),
        )
        return Prestarted(self, pid)

    def ask(self, **request: Any) -> Any:
        """Have something done."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


def serve() -> None:
    """Import everything, then fork for each request until nobody asks any more."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    _import_all()
    gc.freeze()  # what is imported is no garbage: collecting looks at none of it
    for line in sys.stdin:
        request = json.loads(line)
        if "poll" in request:
            pid, status = os.waitpid(request["poll"], os.WNOHANG)
            answer = None if pid == 0 else os.waitstatus_to_exitcode(status)
        else:
            answer = os.fork()
            if answer == 0:
                _become(request)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _import_all() -> None:
    # Of other people's packages: ours decide much while they are imported.
    import accelerate
    import transformers
    from torch.utils.tensorboard import SummaryWriter  # noqa: F401
    from transformers import CLIPTextModel, CLIPVisionModel, Dinov2Model  # noqa: F401

    del accelerate, transformers


def _become(request: dict[str, Any]) -> None:
    """Be the command, as a shell would have started it."""
    os.setsid()
    for number, name in enumerate((os.devnull, request["out"], request["err"])):
        handle = os.open(name, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(handle, number)
        os.close(handle)
    os.environ.clear()
    os.environ.update(request["environment"])
    if request["folder"]:
        os.chdir(request["folder"])
    sys.argv = ["lmgait", *request["words"]]
    if any(name.startswith("FAULT_") for name in os.environ):
        runpy.run_path(str(SABOTEUR))
    if request["shards"]:
        import core.workflows.prepare as module

        # The name that `prepare` reads is its own.
        module.SHARD_FRAMES = request["shards"]  # type: ignore[attr-defined]
    code = 70
    try:
        _run(request["module"])
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    _finish(code)


def _run(module: str) -> None:
    if module:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        sys.exit(0)
    from lmgait_cli.main import run

    run()


def _finish(code: int) -> None:
    """End as Python does: what was registered for the end is done, then streams are flushed."""
    import atexit

    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os._exit(code)
