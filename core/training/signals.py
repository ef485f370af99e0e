"""A polite end: the first signal asks the loop to save and leave, a second one leaves at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from accelerate import Accelerator

from core.training.engine import anywhere

# SIGHUP: the terminal was closed. SIGUSR1: what schedulers commonly send ahead of a pre-emption.
_WANTED = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1")

# Iterations between two questions to other processes on GPUs.
ASK_EVERY = 10


class StopRequest:
    """Set once a signal has come; ``name`` is its name."""

    def __init__(self) -> None:
        self.name: str | None = None

    def __bool__(self) -> bool:
        return self.name is not None


@contextmanager
def stop_on_signal() -> Iterator[StopRequest]:
    """Collect the first SIGINT, SIGTERM, SIGHUP or SIGUSR1 while the block runs.

    What this process was started to ignore (`nohup`, a shell's `&`) it ignores still.

    Outside the main thread (a notebook's worker) signals cannot be caught, and none are.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def note(number: int, frame: FrameType | None) -> None:
        del frame
        if request:
            raise KeyboardInterrupt
        request.name = signal.Signals(number).name

    known = [getattr(signal, name) for name in _WANTED if hasattr(signal, name)]
    numbers = [number for number in known if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, note) for number in numbers}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def heard(stop: StopRequest, engine: Accelerator, done: int, due: bool) -> bool:
    """Whether a signal has come to any process; all of them hear it after the same iteration.

    To ask the others is to wait for the GPU, so processes on GPUs ask but now and then.

    Args:
        stop: Of this process.
        engine: Tells who the others are.
        done: Iterations done, the same number in all processes.
        due: The device is waited for after this iteration anyway.
    """
    if engine.num_processes > 1 and engine.device.type != "cpu" and not due and done % ASK_EVERY:
        return False
    return anywhere(engine, bool(stop))
