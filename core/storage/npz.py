"""Arrays out of an .npz file: nothing is unpickled, and sizes are checked before they are read."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy

from core.errors import DataError
from core.storage.members import (
    EMBEDDINGS,
    MEMBERS,
    SAVE_FLOATS,
    SAVE_STRINGS,
    Array,
    check_size,
    damaged,
)


def read_npz(path: Path) -> dict[str, Array]:
    """The members of embeddings that the file has.

    Raises:
        DataError: damaged, a member twice, of Python objects, or declared too large.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            known = {f"{name}.npy": name for name in MEMBERS}
            members = [info for info in archive.infolist() if info.filename in known]
            if len({info.filename for info in members}) < len(members):
                raise DataError(
                    "A member is in the file twice", where=path, next_step="Save each member once."
                )
            arrays: dict[str, Array] = {}
            for info in members:
                with archive.open(info) as handle:
                    arrays[known[info.filename]] = _read_array(handle, info.file_size, path, info)
            return arrays
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError) as error:
        raise damaged(path, error) from error
    except (RuntimeError, ValueError) as error:  # an encrypted member; an impossible offset
        raise damaged(path, error) from error


def _read_array(handle: IO[bytes], size: int, path: Path, info: zipfile.ZipInfo) -> Array:
    name = info.filename.removesuffix(".npy")
    try:
        version = npy.read_magic(handle)
        read: Callable[..., tuple[tuple[int, ...], bool, np.dtype[np.generic]]]
        read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[version]
        shape, _, dtype = read(handle)
    except MemoryError:
        raise
    except Exception as error:
        # A broken header can end in nearly any exception of NumPy's and the tokenizer's.
        raise damaged(path, error) from error
    if dtype.hasobject:
        raise DataError(
            f"{name} holds Python objects",
            where=path,
            next_step=SAVE_FLOATS if name == EMBEDDINGS else SAVE_STRINGS,
        )
    check_size(name, shape, dtype.itemsize, path)
    if math.prod(shape) * dtype.itemsize > size - handle.tell():
        raise damaged(path, f"{name} is shorter than its header says")
    with zipfile.ZipFile(path) as archive, archive.open(info) as again:
        try:
            return np.asarray(npy.read_array(again, allow_pickle=False))
        except ValueError as error:
            raise damaged(path, error) from error
