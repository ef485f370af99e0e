"""Worker processes that end when their parent does, and when it says so: never on their own."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import wait

# What a terminal, a scheduler or a service manager sends to a whole group of processes at once.
_SENT_TO_ALL = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1")


@contextmanager
def undisturbed() -> Iterator[None]:
    """Let processes that start in this block inherit that those signals wait.

    A signal to the whole group would end the workers while their parent still needs them to finish
    its step. This process gets its own signals after the block.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _numbers())
    try:
        # Python's own helper of such processes inherits it too; starting it unblocks signals.
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, _numbers())
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def serve_parent() -> None:
    """In a worker that was started :func:`undisturbed`: end with the parent, or by its SIGTERM."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if hasattr(signal, "sigwaitinfo"):
        threading.Thread(target=_end_by_parent, daemon=True).start()


def _numbers() -> set[signal.Signals]:
    return {getattr(signal, name) for name in _SENT_TO_ALL if hasattr(signal, name)}


def _end_with_parent() -> None:
    # A worker may wait on a pipe that it holds itself, so it would outlive a killed parent.
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _end_by_parent() -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass  # meant for the group: the parent decides
    os._exit(1)
