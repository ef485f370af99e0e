"""One writer a store: a lock that a dead process cannot hold, and says who holds it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from core.errors import OutputError
from core.files import output_error


@contextmanager
def writing(store: Path) -> Iterator[None]:
    """Hold the store's folder for writing while the block runs.

    The lock is the operating system's: it ends with the process that holds it, however that ends.

    Raises:
        OutputError: another process holds it (the message says which), or the place is not
            writable.
    """
    lock_path = store.with_name(f".{store.name}.lock")
    owner_path = store.with_name(f".{store.name}.owner")
    try:
        store.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(lock_path)
        lock.acquire(timeout=0)
    except Timeout:
        raise OutputError(
            f"Another process is writing this store ({_owner(owner_path)})",
            where=store,
            next_step="Wait until it has finished, or stop it.",
        ) from None
    except OSError as error:
        raise output_error(error, lock_path) from error
    try:
        _tell_owner(owner_path)
        yield
    finally:
        with suppress(OSError):
            owner_path.unlink()
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
