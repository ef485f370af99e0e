"""Signals that ask a process to end, and repetitions of a recent one."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

# SIGHUP: the terminal was closed. SIGUSR1: what schedulers commonly send ahead of a pre-emption.
ENDING = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1")
# A launcher hands on what a scheduler has sent to the whole group of processes already.
REPEAT_SECONDS = 10.0
_noted = float("-inf")


def ending_signals() -> list[int]:
    """Numbers of the available ending signals that this process does not ignore.

    `nohup` and a shell's `&` start processes that ignore some.
    """
    available = [getattr(signal, name) for name in ENDING if hasattr(signal, name)]
    return [number for number in available if signal.getsignal(number) != signal.SIG_IGN]


def note_signal(number: int) -> bool:
    """Note a signal; returns whether it only repeats one of the last ``REPEAT_SECONDS``.

    Ctrl-C pressed twice is no repetition, but the wish to leave at once; below a launcher, which
    hands Ctrl-C on, one cannot be told from the other.
    """
    global _noted
    now = monotonic()
    if now - _noted < REPEAT_SECONDS and (number != signal.SIGINT or "WORLD_SIZE" in os.environ):
        return True
    _noted = now
    return False


@contextmanager
def deadly_signals() -> Iterator[None]:
    """Let signals end this process in the block, which waits deaf to Python's handlers."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_DFL) for number in ending_signals()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
