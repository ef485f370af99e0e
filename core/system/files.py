"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from core.errors import DataError, LmgaitError, OutputError
from core.system.failures import system_error

PARTIAL_SUFFIX = ".partial"
# File systems take names of 255 bytes; a hidden name adds a dot, a number and an ending.
_LONGEST_NAME = 200
# System errors in the messages of HDF5, safetensors and others.
_ERROR_NUMBER = re.compile(r"(?:[Ee]rrno[ =]+|os error )(\d+)")
_GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ESTALE, errno.ENODEV, errno.EIO})
MAX_JSON_BYTES = 1 << 24


@contextmanager
def whole_file(path: Path, *, parents: bool = True) -> Iterator[Path]:
    """Yield a hidden path beside ``path`` to write to; rename it into place if the block succeeds.

    The temporary file is flushed to disk before the rename and removed if the block fails, so
    ``path`` holds either its former content or the whole new one, whenever the process dies. What
    a dead process left of the same file is removed.

    Args:
        path: The file.
        parents: Make its folder; else the folder has to be there, still.

    Raises:
        OutputError: the folder cannot be written to or was deleted, or the disk is full.
    """
    path = Path(path)
    # The process number keeps two writers of one path apart; a dead writer's rest is recognisable.
    partial = hidden_path(path, f".{os.getpid()}{PARTIAL_SUFFIX}")
    try:
        if parents:
            path.parent.mkdir(parents=True, exist_ok=True)
        _remove_rests_of(path)
        yield partial
        with partial.open("rb") as handle:
            os.fsync(handle.fileno())
        partial.replace(path)
        sync_folder(path.parent)
    except LmgaitError:
        raise
    except Exception as error:
        if not isinstance(error, OSError) and _error_number(error) is None:
            raise
        raise output_error(error, path) from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


@contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Translate the system's errors in the block to :class:`OutputError` on ``path``."""
    try:
        yield
    except OSError as error:
        raise output_error(error, path) from error


def hidden_path(path: Path, ending: str) -> Path:
    """A hidden name beside ``path``, of a length that file systems take."""
    name = path.name
    if len(os.fsencode(name)) > _LONGEST_NAME:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()
    return path.with_name(f".{name}{ending}")


def remove_leftovers(folder: Path) -> None:
    """Remove what dead processes have left in ``folder``; the caller holds its lock."""
    if folder.is_dir():
        for entry in folder.iterdir():
            if entry.name.startswith(".") and entry.name.endswith(PARTIAL_SUFFIX):
                remove(entry)


def remove(path: Path) -> None:
    """Remove a file or a folder; a half-removed folder is never visible.

    A folder is hidden under another name first; what a kill leaves of it goes with
    :func:`remove_leftovers`.
    """
    if path.is_symlink() or not path.is_dir():
        with suppress(OSError):
            path.unlink(missing_ok=True)
        return
    if not path.name.endswith(PARTIAL_SUFFIX):
        path = path.rename(hidden_path(path, f".{os.getpid()}.old{PARTIAL_SUFFIX}"))
    shutil.rmtree(path, ignore_errors=True)


def _remove_rests_of(path: Path) -> None:
    start = hidden_path(path, ".").name
    for name in os.listdir(path.parent):  # noqa: PTH208 - names alone are much faster
        if name.startswith(start) and name.endswith(PARTIAL_SUFFIX):
            number = name.removeprefix(start).removesuffix(PARTIAL_SUFFIX)
            if number.isdecimal() and not _lives(int(number)):
                with suppress(OSError):
                    path.with_name(name).unlink(missing_ok=True)


def _lives(process: int) -> bool:
    if os.name == "nt":
        return False  # Windows does not remove a file that somebody has open
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def write_text(path: Path, text: str, *, parents: bool = True) -> None:
    """Write ``text`` as UTF-8, whole or not at all (arguments and errors as :func:`whole_file`)."""
    with whole_file(path, parents=parents) as partial:
        partial.write_text(text, encoding="utf-8")


def read_bounded(path: Path, most: int) -> bytes:
    """Read a file of at most ``most`` bytes (raises ``OSError``, also where it is larger)."""
    with path.open("rb") as handle:
        content = handle.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EOVERFLOW, f"larger than {most:,} bytes", str(path))
    return content


def read_plain_json(path: Path, most: int = MAX_JSON_BYTES) -> Any:  # noqa: ANN401
    """Read a JSON file of at most ``most`` bytes, with or without a byte order mark.

    Raises:
        OSError: it cannot be read, or is larger.
        ValueError: it is not JSON in UTF-8, or nested too deeply.
    """
    return plain_json(read_bounded(path, most).decode("utf-8-sig"))


def plain_json(text: str) -> Any:  # noqa: ANN401
    """Read a JSON text (raises ``ValueError``, also where it is nested too deeply)."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def sync_folder(folder: Path) -> None:
    """Flush a rename in ``folder`` to disk where the system can (Windows cannot, and needs not)."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def output_error(error: Exception, path: Path) -> LmgaitError:
    """Return the error that explains why ``path`` could not be written."""
    number = _error_number(error)
    if number in _GONE:
        return OutputError(
            f"The place to write to has gone ({os.strerror(number)})",
            where=path,
            next_step="See that its disk and folder are there and run the same command again.",
        )
    if number is not None:
        explained = system_error(OSError(number, os.strerror(number)), path)
        if not isinstance(explained, DataError):
            return explained
    reason = error if number is None else os.strerror(number)
    return OutputError(
        f"Cannot write: {reason}",
        where=path,
        next_step="Check the folder, or choose another place.",
    )


def _error_number(error: Exception) -> int | None:
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    match = _ERROR_NUMBER.search(str(error))
    return None if match is None else int(match[1])
