"""Commands in processes of their own that need not import PyTorch first.

One process imports what the verbs import, and is forked for each command: what runs then is the
console script's own function, with its arguments, in a session of its own. A command that takes
ten seconds to begin takes a tenth of one, so there is time for many more faults.
"""

from __future__ import annotations

import json
import os
import runpy
import signal
import subprocess
import sys
import time
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
            env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def start(self, words: list[str], **more: Any) -> Prestarted:
        """Start a command: its arguments, and ``environment``, ``out``, ``err``, ``shards``."""
        return Prestarted(self, self.ask(words=words, **more))

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
    import accelerate
    import transformers
    from torch.utils.tensorboard import SummaryWriter  # noqa: F401
    from transformers import CLIPTextModel, CLIPVisionModel, Dinov2Model  # noqa: F401

    import lmgait_cli.main  # noqa: F401

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
    sys.argv = ["lmgait", *request["words"]]
    if any(name.startswith("FAULT_") for name in os.environ):
        runpy.run_path(str(SABOTEUR))
    if request["shards"]:
        import core.workflows.prepare as module

        # The name that `prepare` reads is its own.
        module.SHARD_FRAMES = request["shards"]  # type: ignore[attr-defined]
    from lmgait_cli.console import err, out
    from lmgait_cli.main import run

    for console in (out, err):
        console.width = 200
    code = 70
    try:
        run()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    _finish(code)


def _finish(code: int) -> None:
    """End as Python does: what was registered for the end is done, then streams are flushed."""
    import atexit

    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os._exit(code)
