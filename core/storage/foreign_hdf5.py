"""HDF5 files of other programs, read in a process of their own.

The library trusts what a file says of its own structure: eight kilobytes with one flipped bit can
make it ask for gigabytes, search without end, or crash. A child process with little room and time
reads such a file and hands plain arrays back as an .npz; whatever becomes of it, this one lives.
(Stores need none of this: their files are our own, with a checksum on every structure.)
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np

from core.errors import DataError
from core.storage.members import MEMBERS, SAVE_STRINGS, Array, check_size, damaged, room
from core.storage.npz import read_npz

CPU_SECONDS = 60
MEGABYTES_A_SECOND = 5
SPARE_BYTES = 1 << 30
_CHILD = "import sys; from core.storage.foreign_hdf5 import child; child(sys.argv[1], sys.argv[2])"


def read_hdf5(path: Path) -> dict[str, Array]:
    """The members of embeddings that the file has.

    Raises:
        DataError: damaged, not plain datasets, or declared too large; or no process could read it
            within its room and time.
    """
    with tempfile.TemporaryDirectory(prefix="lmgait-") as folder:
        copy = Path(folder) / "members.npz"
        process = subprocess.run(
            [sys.executable, "-c", _CHILD, str(path.absolute()), str(copy)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        with suppress(OSError, ValueError, KeyError, TypeError):
            content = json.loads(_fault_file(copy).read_text("utf-8"))
            raise DataError(content["what"], where=path, next_step=content["next_step"])
        if process.returncode or not copy.is_file():
            raise damaged(path, "HDF5 cannot read it within its room and time")
        return read_npz(copy)


def child(path: str, target: str) -> None:
    """Read ``path`` and write ``target``, or the error beside it; runs in the child process."""
    _limit(Path(path))
    try:
        members = members_of(Path(path))
        with Path(target).open("wb") as file:
            np.savez(file, **members)  # type: ignore[arg-type]
    except DataError as error:
        content = {"what": error.what, "next_step": error.next_step}
        _fault_file(Path(target)).write_text(json.dumps(content), "utf-8")


def _fault_file(target: Path) -> Path:
    return target.with_suffix(".json")


def _limit(path: Path) -> None:
    with suppress(ImportError):  # Windows has no such limits
        import resource

        spare = SPARE_BYTES + 4 * room(path)
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        with suppress(OSError, ValueError):
            used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        seconds = CPU_SECONDS + path.stat().st_size // (MEGABYTES_A_SECOND << 20)
        for kind, limit in ((resource.RLIMIT_AS, used + spare), (resource.RLIMIT_CPU, seconds)):
            with suppress(OSError, ValueError):
                resource.setrlimit(kind, (limit, limit))
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def members_of(path: Path) -> dict[str, Array]:
    """As :func:`read_hdf5`, in this process: only for one that may be lost."""
    arrays: dict[str, Array] = {}
    try:
        with h5py.File(path, "r") as file:
            for name in MEMBERS:
                # External links and storage could name any file of this machine.
                if name not in file or not isinstance(file.get(name, getlink=True), h5py.HardLink):
                    continue
                member = file[name]
                if not isinstance(member, h5py.Dataset) or member.external or member.is_virtual:
                    raise DataError(
                        f"{name} is not a plain dataset",
                        where=path,
                        next_step="Save the values in this file itself, not as links.",
                    )
                arrays[name] = _read_dataset(name, member, path)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError) as error:
        raise damaged(path, error) from error
    return arrays


def _read_dataset(name: str, member: h5py.Dataset, path: Path) -> Array:
    if member.shape is None:
        raise DataError(
            f"{name} is empty", where=path, next_step="Save one value for each embedding."
        )
    check_size(name, member.shape, member.dtype.itemsize, path)
    if h5py.check_string_dtype(member.dtype) is None:
        if member.dtype.hasobject:
            raise DataError(f"{name} holds objects", where=path, next_step=SAVE_STRINGS)
        return np.asarray(member[()])
    try:
        texts = np.asarray(member.asstr("utf-8")[()], dtype=object)
    except UnicodeDecodeError as error:
        raise DataError(f"{name} are not UTF-8", where=path, next_step=SAVE_STRINGS) from error
    # One long text makes all places of the array as long.
    longest = max((len(text) for text in texts.reshape(-1)), default=0)
    check_size(name, texts.shape, 4 * longest, path)
    return np.array(texts.tolist(), dtype=np.str_)
