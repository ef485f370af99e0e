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

# Iterations between two exchanges with other processes on GPUs.
ASK_EVERY = 10


class StopRequest:
    """True once a signal has come; ``name`` is the signal's name."""

    def __init__(self) -> None:
        self.name: str | None = None

    def __bool__(self) -> bool:
        return self.name is not None


@contextmanager
def stop_on_signal() -> Iterator[StopRequest]:
    """Collect the first SIGINT, SIGTERM, SIGHUP or SIGUSR1 while the block runs.

    A second one raises ``KeyboardInterrupt``, unless it repeats the first
    (:func:`core.system.signals.note_signal`). Signals that this process was started to ignore
    (`nohup`, a shell's `&`) stay ignored. Outside the main thread (a notebook's worker) signals
    cannot be caught.
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
    """Whether any process received a signal; all of them agree after the same iteration.

    Asking the others waits for the GPU, so processes on GPUs ask only every few iterations.

    Args:
        stop: The request of this process.
        engine: Joins the processes.
        done: Finished iterations, the same number in all processes.
        due: Whether the device is synchronised after this iteration anyway.
    """
    if engine.num_processes > 1 and engine.device.type != "cpu" and not due and done % ASK_EVERY:
        return False
    return any_process(engine, bool(stop))
