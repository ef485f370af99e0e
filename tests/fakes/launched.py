"""The command line as one of several processes, and something that goes wrong in one of them.

Usage: torchrun ... -m tests.fakes.launched WHAT RANK lmgait's arguments

``WHAT`` happens in process ``RANK``, at its third step where nothing else is said; ``nothing``
never does. Exits are printed as ``Process RANK leaves.`` at ordinary ends.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

from core.errors import DataError
from core.storage.store import Store
from core.training.loop import Runner
from core.workflows import train as training
from lmgait_cli.main import run

STEP = 3


def interrupt() -> None:
    """Be interrupted where no signal handler of ours is."""
    raise KeyboardInterrupt


def leave() -> None:
    """Leave as a library may."""
    sys.exit(3)


def leave_well() -> None:
    """Leave as if all were well."""
    sys.exit(0)


def run_out() -> None:
    """Run out of memory."""
    raise MemoryError


def defect() -> None:
    """Fail inside a step."""
    raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")


def gpu() -> None:
    """Fail as a GPU does."""
    raise RuntimeError("CUDA error: an illegal memory access was encountered")


def in_words() -> None:
    """Fail with an error in words."""
    raise DataError("The third batch is spoiled", where="batch-3", next_step="Look at it.")


def killed() -> None:
    """Be killed, as by a system without memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def crash() -> None:
    """Crash in native code."""
    ctypes.string_at(0)


AT_A_STEP: dict[str, Callable[[], None]] = {
    "interrupt": interrupt, "leave": leave, "leave-well": leave_well, "memory": run_out,
    "defect": defect, "gpu": gpu, "words": in_words, "killed": killed, "crash": crash,
}  # fmt: skip


def main() -> None:
    """Sabotage this process if it is the one, and run the command line."""
    what, rank = sys.argv[1], int(sys.argv[2])
    del sys.argv[1:3]
    if rank != int(os.environ["RANK"]) or what == "nothing":
        run()
    elif what in AT_A_STEP:
        step = Runner.step
        steps = iter(range(1, 1_000_000))

        def spoiled(self: Runner, *given: Any, **more: Any) -> None:
            step(self, *given, **more)
            if next(steps) == STEP:
                AT_A_STEP[what]()

        with patch.object(Runner, "step", spoiled):
            run()
    elif what == "choosing":
        # The main process decides for all of them while they wait.
        with patch.object(training, "find_warmup", lambda *_: defect()):
            run()
    elif what == "opening":
        # Before they have joined, on one machine alone: a disk that is not there.
        with patch.object(Store, "open", lambda *_: in_words()):
            run()
    else:
        raise ValueError(what)


if __name__ == "__main__":
    main()
