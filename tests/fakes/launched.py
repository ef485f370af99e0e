"""The command line as one of several processes, and something that goes wrong in one of them.

Usage: torchrun ... -m tests.fakes.launched WHAT RANK lmgait's arguments

``WHAT`` happens in process ``RANK``; ``nothing`` never does.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, NoReturn
from unittest.mock import patch

from core.data.dataset import TrainingSequences
from core.errors import DataError
from core.plans import choose, training_inputs
from core.storage.store import Store
from core.training import resume
from core.training.checkpoint import CheckpointFolder
from core.training.loop import Runner
from lmgait_cli.main import run

STEP, LATE = 3, 5


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


def defect(*_: object) -> NoReturn:
    """Fail inside a step."""
    raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")


def gpu() -> None:
    """Fail as a GPU does."""
    raise RuntimeError("CUDA error: an illegal memory access was encountered")


def in_words(*_: object) -> NoReturn:
    """Fail with an error in words."""
    raise DataError("The third batch is spoiled", where="batch-3", next_step="Look at it.")


def killed() -> None:
    """Be killed, as by a system without memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def crash() -> None:
    """Crash in native code."""
    ctypes.string_at(0)


def kill_worker() -> None:
    """Lose the process that reads data."""
    for worker in multiprocessing.active_children():
        os.kill(worker.pid or 0, signal.SIGKILL)


def killed_late() -> None:
    """Be killed after a checkpoint."""
    killed()


def slow() -> None:
    """Give a signal the time to come before the end."""
    time.sleep(3)


# At the third step; of some at the fifth, when there is the checkpoint of the third.
AT_A_STEP: dict[str, Callable[[], None]] = {
    "interrupt": interrupt,
    "leave": leave,
    "leave-well": leave_well,
    "memory": run_out,
    "defect": defect,
    "gpu": gpu,
    "words": in_words,
    "killed": killed,
    "crash": crash,
    "kill-worker": kill_worker,
    "slow": slow,
    "killed-late": killed_late,
}


class Spoiled(TrainingSequences):
    """Clips that a process that reads data cannot read."""

    def __getitem__(self, request: Any) -> Any:
        """Fail."""
        raise RuntimeError("a defect of a worker")


def at_a_step(what: Callable[[], None]) -> AbstractContextManager[object]:
    """Do ``what`` after the third step of a training or warm-up."""
    step, count = Runner.step, iter(range(1, 1_000_000))

    def spoiled(self: Runner, *given: Any, **more: Any) -> None:
        step(self, *given, **more)
        if next(count) == (LATE if what in (slow, killed_late) else STEP):
            what()

    return patch.object(Runner, "step", spoiled)


def race() -> AbstractContextManager[object]:
    """After the decision where to go on, find a newer checkpoint than the one decided on.

    Any look at the folder of checkpoints for the newest one gives one that is not there.
    """
    newer = Path("/nowhere/step-999999")
    return patch.multiple(
        CheckpointFolder, newest=lambda self: newer, newest_whole=lambda self: newer
    )


def unreadable() -> AbstractContextManager[object]:
    """Be unable to read the checkpoint, as where a disk is not there on one machine."""

    def fail(path: Path) -> NoReturn:
        raise DataError("Cannot read", where=path, next_step="Look at the disk.")

    return patch.object(resume, "load_tensors", fail)


def choosing() -> AbstractContextManager[object]:
    """Fail in the main process, which decides for all of them while they wait."""
    return patch.object(choose, "trainings", defect)


def opening() -> AbstractContextManager[object]:
    """Have no store, as where a disk is not there on one machine."""
    return patch.object(Store, "open", in_words)


def worker() -> AbstractContextManager[object]:
    """Fail in a process that reads data."""
    return patch.object(training_inputs, "TrainingSequences", Spoiled)


ELSEWHERE: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "nothing": nullcontext,
    "race": race,
    "unreadable": unreadable,
    "choosing": choosing,
    "opening": opening,
    "worker": worker,
}


def main() -> None:
    """Sabotage this process if it is the one, and run the command line."""
    what, rank = sys.argv[1], int(sys.argv[2])
    del sys.argv[1:3]
    spoiled: AbstractContextManager[object] = nullcontext()
    if rank == int(os.environ["RANK"]):
        spoiled = at_a_step(AT_A_STEP[what]) if what in AT_A_STEP else ELSEWHERE[what]()
    with spoiled:
        run()


if __name__ == "__main__":
    main()
