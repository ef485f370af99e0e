"""Worker processes that end when their parent does or on its request, never on their own."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any

# What a terminal, a scheduler or a service manager sends to a whole group of processes at once.
_SENT_TO_ALL = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1")


def usable_cores() -> int:
    """Cores that this process may use, at least 1."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def worker_context() -> SpawnContext:
    """Context of worker processes: spawned, as HDF5 and OpenCV do not survive a fork."""
    return SpawnContext() if os.name == "nt" else _Context()


@contextmanager
def undisturbed() -> Iterator[None]:
    """Let processes that start in this block inherit that those signals wait, for good.

    A signal to the whole group would end the workers while their parent still needs them to finish
    its step. This process gets its own signals after the block.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _numbers())
    try:
        # Python's own helper of such processes inherits it too; starting it unblocks signals.
        with _without_warnings():
            resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, _numbers())
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Let the helper that is started here clean up after a process that was killed in silence."""
    before = os.environ.get("PYTHONWARNINGS")
    own = "ignore:resource_tracker"
    os.environ["PYTHONWARNINGS"] = own if before is None else f"{before},{own}"
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONWARNINGS"]
        else:
            os.environ["PYTHONWARNINGS"] = before


def serve_parent() -> None:
    """In a worker: end with the parent, however that ends."""
    if os.name == "nt":
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A worker may wait on a pipe that it holds itself, so it would outlive a killed parent.
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _numbers() -> set[signal.Signals]:
    return {getattr(signal, name) for name in _SENT_TO_ALL if hasattr(signal, name)}


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


class _Process(SpawnProcess):
    """A worker that is ended by SIGKILL: SIGTERM waits in it, as it does where all get it."""

    @staticmethod
    def _Popen(process_obj: Any) -> Any:  # noqa: ANN401, N802 - of multiprocessing
        from multiprocessing.popen_spawn_posix import Popen

        class Started(Popen):
            def terminate(self) -> None:
                self.kill()

        return Started(process_obj)


class _Context(SpawnContext):
    Process = _Process
