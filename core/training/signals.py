"""Stop gracefully on the first signal, immediately on a second one that does not repeat it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from accelerate import Accelerator

from core.system.signals import ending_signals, note_signal
from core.training.engine import any_process

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

    A second one raises ``KeyboardInterrupt``, unless it repeats the first
    (:func:`core.system.signals.note_signal`). What this process was started to ignore (`nohup`, a
    shell's `&`) it ignores still. Outside the main thread (a notebook's worker) signals cannot be
    caught, and none are.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def note(number: int, frame: FrameType | None) -> None:
        del frame
        repeats = note_signal(number)
        if not request:
            request.name = signal.Signals(number).name
        elif not repeats:
            raise KeyboardInterrupt

    before = {number: signal.signal(number, note) for number in ending_signals()}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def stop_requested(stop: StopRequest, engine: Accelerator, done: int, due: bool) -> bool:
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
    return any_process(engine, bool(stop))
