"""Embeddings as a file: NPZ or HDF5, from any model.

Members: ``embeddings`` float32 [n, C, P] (or [n, D]), and ``labels``, ``types``, ``views``, n
strings each; optionally ``source``, one string on where they come from, and ``lmgait_format``, a
number: 1, as in files written here. Files of other models need not have it.
"""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from core.errors import DataError, UsageError
from core.records import EmbeddingSet
from core.storage.foreign_hdf5 import read_hdf5
from core.storage.members import FORMAT_NAME, NAMES, SAVE_FLOATS, SAVE_STRINGS, SOURCE, Array
from core.storage.npz import read_npz
from core.system.files import whole_file

FORMAT = 1
HDF5_ENDINGS = (".h5", ".hdf5")
ENDINGS = (".npz", *HDF5_ENDINGS)


def read_embeddings(path: Path) -> EmbeddingSet:
    """Read embeddings from ``.npz`` or ``.h5``; [n, D] becomes [n, D, 1].

    Nothing is unpickled, and declared sizes are checked before memory is reserved. HDF5 is read in
    a process of its own (see :mod:`core.storage.foreign_hdf5`).

    Raises:
        UsageError: another ending.
        DataError: the file is missing, damaged, lacks a member, or a member has another type or
            shape than it should, disagreeing counts, or a value that is not finite.
    """
    path = Path(path)
    reader = {".npz": read_npz, ".h5": read_hdf5, ".hdf5": read_hdf5}.get(path.suffix.lower())
    if reader is None:
        raise _unknown_ending(path)
    if not path.is_file():
        raise DataError("No such file", where=path, next_step="Write it with `lmgait embed`.")
    return _checked(reader(path), path)


def check_ending(path: Path) -> None:
    """Refuse a path that no format of embeddings ends in (raises ``UsageError``)."""
    if path.suffix.lower() not in ENDINGS:
        raise _unknown_ending(path)


def write_embeddings(path: Path, embeddings: EmbeddingSet) -> None:
    """Write ``embeddings`` as ``.npz`` or ``.h5``, whole or not at all.

    Raises:
        UsageError: another ending.
        DataError: ``embeddings`` would not be accepted by :func:`read_embeddings`.
        OutputError: the file cannot be written.
    """
    path = Path(path)
    members: dict[str, Array] = {"embeddings": embeddings.embeddings}
    for name in NAMES:
        members[name] = np.array(getattr(embeddings, name), dtype=np.str_)
    members[SOURCE] = np.array(embeddings.source)
    members[FORMAT_NAME] = np.array(FORMAT)
    _checked(members, path)
    check_ending(path)
    with whole_file(path) as partial:
        if path.suffix.lower() == ".npz":
            with partial.open("wb") as handle:
                np.savez(handle, **members)  # type: ignore[arg-type]
        else:
            with h5py.File(partial, "w") as file:
                for name, value in members.items():
                    if value.dtype.kind == "U":
                        file.create_dataset(name, data=value.tolist(), dtype=h5py.string_dtype())
                    else:
                        file.create_dataset(name, data=value)


def _checked(members: dict[str, Array], path: Path) -> EmbeddingSet:
    version = members.get(FORMAT_NAME)
    if version is not None and not (version.size == 1 and version.item() == FORMAT):
        raise DataError(
            f"The embeddings have format {version.tolist()}, this lmgait reads {FORMAT}",
            where=path,
            next_step="Write them again with this lmgait's `lmgait embed`, or read them with the "
            "one that wrote them.",
        )
    missing = [name for name in ("embeddings", *NAMES) if name not in members]
    if missing:
        raise DataError(
            f"The file has no {', '.join(missing)}",
            where=path,
            next_step="It needs embeddings [n, C, P] and labels, types, views (n strings each).",
        )
    values = _embeddings(members["embeddings"], path)
    names = {name: _strings(name, members[name], path) for name in NAMES}
    for name, labels in names.items():
        if len(labels) != len(values):
            raise DataError(
                f"{len(values)} embeddings but {len(labels)} {name}",
                where=path,
                next_step="Give one label, type and view for each embedding, in the same order.",
            )
    source = members.get(SOURCE)
    return EmbeddingSet(
        embeddings=values,
        labels=names["labels"],
        types=names["types"],
        views=names["views"],
        source="" if source is None else _source(source),
    )


def _embeddings(values: Array, path: Path) -> NDArray[np.float32]:
    if values.dtype != np.float32:
        raise DataError(
            f"embeddings have dtype {values.dtype}, not float32", where=path, next_step=SAVE_FLOATS
        )
    if values.ndim not in (2, 3) or 0 in values.shape:
        raise DataError(
            f"embeddings have shape {list(values.shape)}, not [n, C, P] or [n, D]",
            where=path,
            next_step=SAVE_FLOATS,
        )
    floats = np.ascontiguousarray(values, dtype=np.float32)
    bad = ~np.isfinite(floats).reshape(len(floats), -1).all(1)
    if bad.any():
        raise DataError(
            f"{int(bad.sum())} embeddings have NaN or infinite values, the first at index "
            f"{int(bad.argmax())}",
            where=path,
            next_step="Leave those sequences out, or embed them again.",
        )
    return floats if floats.ndim == 3 else floats[:, :, None]


def _strings(name: str, values: Array, path: Path) -> tuple[str, ...]:
    if values.dtype.kind == "S":
        try:
            values = np.char.decode(values.astype(np.bytes_), "utf-8")
        except UnicodeDecodeError as error:
            raise DataError(f"{name} are not UTF-8", where=path, next_step=SAVE_STRINGS) from error
    if values.dtype.kind != "U" or values.ndim != 1:
        raise DataError(
            f"{name} have dtype {values.dtype} and shape {list(values.shape)}, not n strings",
            where=path,
            next_step=SAVE_STRINGS,
        )
    return tuple(values.tolist())


def one_line(source: str) -> str:
    """``source`` as a file returns it: one line of at most 500 characters."""
    return " ".join(source.split())[:500]


def _source(source: Array) -> str:
    return one_line(str(source.item()) if source.dtype.kind == "U" and source.size == 1 else "")


def _unknown_ending(path: Path) -> UsageError:
    return UsageError(
        f"Embeddings end in .npz or .h5, not {path.suffix or 'without an ending'!r}",
        where=path,
        next_step="Name the file so, and save it in that format.",
    )
