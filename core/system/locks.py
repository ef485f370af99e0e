"""One writer at a time: a lock that ends with its process and names its owner."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from core.errors import OutputError
from core.system.files import hidden_path, output_error


@contextmanager
def writing(output: Path, *, what: str, inside: bool = False, wait: float = 0.0) -> Iterator[None]:
    """Hold ``output`` for writing while the block runs.

    The lock is the operating system's: it ends with the process that holds it, however that ends.

    Args:
        output: The folder (or file) that is written.
        what: Its word in messages, such as ``store``.
        inside: Put the lock into the folder, which exists; else beside it, for a folder that comes
            and goes.
        wait: Seconds to wait for another process that holds it.

    Raises:
        OutputError: another process holds it (the message says which), or the place is not
            writable.
    """
    base = output / "writing" if inside else output
    owner = hidden_path(base, ".owner")
    try:
        base.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(hidden_path(base, ".lock"))
        lock.acquire(timeout=wait, poll_interval=0.02)
    except Timeout:
        raise OutputError(
            f"Another process is writing this {what} ({_owner(owner)})",
            where=output,
            next_step="Wait until it has finished, or stop it.",
        ) from None
    except OSError as error:
        raise output_error(error, output) from error
    try:
        _tell_owner(owner)
        yield
    finally:
        with suppress(OSError):
            owner.unlink(missing_ok=True)
        lock.release()


def _owner(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip() or "unknown"
    except OSError:
        return "unknown"


def _tell_owner(path: Path) -> None:
    try:
        path.write_text(f"process {os.getpid()} on {socket.gethostname()}\n", encoding="utf-8")
    except OSError as error:
        raise output_error(error, path) from error
