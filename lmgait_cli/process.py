"""Process set-up: environment variables, standard streams and signals.

A closed terminal or `| head` does not stop the work when progress can no longer be shown. A result
that cannot be printed, for example on a full disk, is an error.
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

# Rank and size variables of torchrun and accelerate, and of the MPI launchers.
_RANK_VARIABLES = (
    ("RANK", "WORLD_SIZE"),
    ("PMI_RANK", "PMI_SIZE"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE"),
)
# Large pages for torch's tensors on Linux: with small pages a CPU step takes a tenth longer.
_PAGES = "THP_MEM_ALLOC_ENABLE"
# How often a thread of GNU OpenMP (part of torch on Linux) polls for the others before it sleeps.
# The default, 300,000 polls, takes milliseconds and blocks the core for the very thread it waits
# for when other programs run. 1,000 polls take about ten microseconds. Measured by `python -m
# benchmarks busy`: beside one busy program training keeps 0.44 of its rate with 10,000 polls and
# 0.52 with 1,000; on an idle machine neither is slower than the default.
_SPINS, SPINS = "GOMP_SPINCOUNT", "1000"
# Variables that control how threads wait; if the user has set one, it is left alone.
_WAIT_VARIABLES = (_SPINS, "OMP_WAIT_POLICY")
_stopped_by: str | None = None


class Stopped(KeyboardInterrupt):
    """A signal asked this process to end."""


class _TolerantStream(io.FileIO):
    """A stream that tolerates a closed reader.

    Args:
        number: Its file descriptor.
        ignore_errors: Ignore every error, not only a closed reader.
    """

    def __init__(self, number: int, *, ignore_errors: bool) -> None:
        super().__init__(number, "w", closefd=False)
        self._ignore_errors = ignore_errors

    def write(self, data: Any, /) -> int:  # noqa: ANN401 - any buffer
        """Write ``data``; report success if the reader is gone."""
        try:
            return super().write(data)
        except BrokenPipeError:
            return len(data)
        except OSError:
            if self._ignore_errors:
                return len(data)
            raise


def rank_and_size() -> tuple[int, int]:
    """Rank of this process, from 0, and the number of processes launched together.

    Only rank 0 prints results and writes their files.
    """
    for rank, size in _RANK_VARIABLES:
        if rank in os.environ and size in os.environ:
            return int(os.environ[rank]), int(os.environ[size])
    return 0, 1


def set_environment(variables: MutableMapping[str, str]) -> None:
    """Set the variables that torch and OpenMP read when they are loaded.

    Variables that the user has set are kept.

    Args:
        variables: The environment of a process that has not imported torch. Child processes
            inherit it.
    """
    variables.setdefault(_PAGES, "1")
    if not any(name in variables for name in _WAIT_VARIABLES):
        variables[_SPINS] = SPINS


def prepare_process() -> None:
    """Make the streams tolerate closed readers and install the signal handlers."""
    _open_closed()
    sys.stdout = _stream(sys.stdout, 1, ignore_errors=False)
    sys.stderr = _stream(sys.stderr, 2, ignore_errors=True)
    for number in ending_signals():
        signal.signal(number, _end)
    threading.excepthook = _thread_failed


def _thread_failed(details: threading.ExceptHookArgs) -> None:
    # The main thread meets a full disk too and reports it better.
    if not isinstance(details.exc_value, OSError):
        threading.__excepthook__(details)


def stopped_by() -> str | None:
    """Name of the signal that asked this process to end."""
    return _stopped_by


def leave(code: int, error: OSError | None = None) -> NoReturn:
    """Flush the results and end the process.

    Args:
        code: The exit code if printing succeeds.
        error: An earlier printing error.
    """
    try:
        sys.stdout.flush()
    except OSError as flush_error:
        error = flush_error
    if stopped_by() is not None:
        code = EXIT_INTERRUPTED  # also if the signal came before or after the verb's own work
    if error is not None:
        if code != EXIT_OUTPUT:  # otherwise it is already reported
            sys.stderr.write(f"Error: The results cannot be printed: {error.strerror}\n")
        code = code or EXIT_OUTPUT
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    for number in ending_signals():
        # The work is finished; from here on a signal may end the process at once.
        if signal.getsignal(number) is _end:
            signal.signal(number, signal.SIG_DFL)
    sys.exit(code)


def _open_closed() -> None:
    # The next file opened would get this descriptor, and prints would go into that file.
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _stream(original: TextIO | None, number: int, *, ignore_errors: bool) -> io.TextIOWrapper:
    encoding = getattr(original, "encoding", None) or "utf-8"
    raw = _TolerantStream(number, ignore_errors=ignore_errors)
    # File names may contain bytes that the encoding cannot represent.
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding,
        errors="backslashreplace",
        line_buffering=ignore_errors or raw.isatty(),
    )


def _end(number: int, frame: FrameType | None) -> None:
    del frame
    global _stopped_by
    if note_signal(number):
        return  # a repetition of a signal already handled, here or by the training
    if _stopped_by is not None:
        # Second signal: end at once. Partial files have hidden names; workers end with us.
        os._exit(EXIT_INTERRUPTED)
    _stopped_by = signal.Signals(number).name
    raise Stopped
