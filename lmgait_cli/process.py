"""What belongs to a process of its own: its environment, its streams, the signals that end it.

Progress that nobody can read any more, on a closed terminal or behind `| head`, ends no work; a
result that cannot be printed on a full disk is an error.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from collections.abc import MutableMapping
from types import FrameType
from typing import Any, NoReturn, TextIO

from core.errors import EXIT_INTERRUPTED, EXIT_OUTPUT
from core.system.signals import ending_signals, note_signal

# What torchrun and accelerate set, and what the launchers of MPI set.
_LAUNCHED = (
    ("RANK", "WORLD_SIZE"),
    ("PMI_RANK", "PMI_SIZE"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE"),
)
# Large pages for torch's tensors on Linux: a step on a CPU spends a tenth of its time on small
# ones.
_PAGES = "THP_MEM_ALLOC_ENABLE"
# How often a thread of GNU OpenMP, which torch brings on Linux, looks for the others before it
# sleeps. By itself it looks 300,000 times, for milliseconds, and keeps the core from the very
# thread that it waits for where other programs compute. This often takes about ten microseconds.
# `python -m benchmarks busy` compares: with 10,000 looks, training beside one busy program keeps
# 0.44 of its rate, with 1,000 it keeps 0.52, and alone neither is slower than OpenMP's own.
_SPINS, SPINS = "GOMP_SPINCOUNT", "1000"
# What else says how threads wait; whoever sets it has chosen.
_WAITING = (_SPINS, "OMP_WAIT_POLICY")
_stopped_by: str | None = None


class Stopped(KeyboardInterrupt):
    """A signal asked this process to end."""


class _Patient(io.FileIO):
    """A stream whose reader may leave at any time.

    Args:
        number: Its file descriptor.
        whatever: Ignore every error, not only a reader that has left.
    """

    def __init__(self, number: int, *, whatever: bool) -> None:
        super().__init__(number, "w", closefd=False)
        self._whatever = whatever

    def write(self, data: Any, /) -> int:  # noqa: ANN401 - whatever has bytes
        """Write, or say that it is written where nobody reads."""
        try:
            return super().write(data)
        except BrokenPipeError:
            return len(data)
        except OSError:
            if self._whatever:
                return len(data)
            raise


def place() -> tuple[int, int]:
    """Number of this process among those launched together, from 0, and how many they are.

    The first one alone prints results and writes their files.
    """
    for rank, size in _LAUNCHED:
        if rank in os.environ and size in os.environ:
            return int(os.environ[rank]), int(os.environ[size])
    return 0, 1


def set_environment(variables: MutableMapping[str, str]) -> None:
    """Set what torch and OpenMP read once, when they are loaded; what the user has set stays.

    Args:
        variables: The environment, of a process that has not imported torch. Processes that it
            starts inherit it.
    """
    variables.setdefault(_PAGES, "1")
    if not any(name in variables for name in _WAITING):
        variables[_SPINS] = SPINS


def prepare_process() -> None:
    """Make the streams patient, and let signals end this process in order."""
    _open_closed()
    sys.stdout = _stream(sys.stdout, 1, whatever=False)
    sys.stderr = _stream(sys.stderr, 2, whatever=True)
    for number in ending_signals():
        signal.signal(number, _end)
    threading.excepthook = _told_elsewhere


def _told_elsewhere(told: threading.ExceptHookArgs) -> None:
    # A full disk that a thread meets the main thread meets too, and says it better.
    if not isinstance(told.exc_value, OSError):
        threading.__excepthook__(told)


def stopped_by() -> str | None:
    """Name of the signal that asked this process to end."""
    return _stopped_by


def leave(code: int, error: OSError | None = None) -> NoReturn:
    """End the process, after the last results are out.

    Args:
        code: Its exit code, if all goes well.
        error: What came in the way of printing already.
    """
    try:
        sys.stdout.flush()
    except OSError as late:
        error = late
    if stopped_by() is not None:
        code = EXIT_INTERRUPTED  # also where the signal came before or after the verb's own work
    if error is not None:
        if code != EXIT_OUTPUT:  # else it is said already
            sys.stderr.write(f"Error: The results cannot be printed: {error.strerror}\n")
        code = code or EXIT_OUTPUT
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    for number in ending_signals():
        # All is done: what comes now may end the process as it pleases.
        if signal.getsignal(number) is _end:
            signal.signal(number, signal.SIG_DFL)
    sys.exit(code)


def _open_closed() -> None:
    # The next file to be opened would get the number, and be written into by whoever prints.
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _stream(before: TextIO | None, number: int, *, whatever: bool) -> io.TextIOWrapper:
    encoding = getattr(before, "encoding", None) or "utf-8"
    raw = _Patient(number, whatever=whatever)
    # Names of files may hold bytes that no encoding has.
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding,
        errors="backslashreplace",
        line_buffering=whatever or raw.isatty(),
    )


def _end(number: int, frame: FrameType | None) -> None:
    del frame
    global _stopped_by
    if note_signal(number):
        return  # it repeats one that is heeded already, here or by the training
    if _stopped_by is not None:
        # Asked twice: at once. What is half written has a hidden name; workers end with us.
        os._exit(EXIT_INTERRUPTED)
    _stopped_by = signal.Signals(number).name
    raise Stopped
