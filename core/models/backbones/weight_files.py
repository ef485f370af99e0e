"""Files of weights, looked at before anything is made of them: whole, safetensors, all there.

A folder holds ``model.safetensors``, or ``model.safetensors.index.json`` and the parts it names.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from core.errors import WeightsError
from core.system.files import MAX_JSON_BYTES, read_plain_json

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
# What a pre-training leaves: two folders of weights, and beside them eq. 7's projection.
IMAGE_PART: Literal["image"] = "image"
TEXT_PART: Literal["text"] = "text"
PROJECTION_FILE = "projection.safetensors"
# What a download from the hub takes of a repository.
NEEDED = (CONFIG_FILE, WEIGHTS_FILE, INDEX_FILE, "model-*-of-*.safetensors")
AS_SAVED = f"It needs {CONFIG_FILE} and {WEIGHTS_FILE} as transformers saves them."
FETCH_AGAIN = (
    "Fetch the file again where it comes from (`hf download ID --local-dir FOLDER` goes on where "
    "it stopped), or copy it once more."
)

_PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".msgpack", ".h5")
# Names that programs give a download until it is whole.
_UNFINISHED = (".incomplete", ".part", ".partial", ".crdownload", ".download", ".aria2", ".tmp")
_POINTERS = (b"version https://git-lfs", b"version https://hawser")
_PICKLES = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
_START = 64


def read_settings(folder: Path) -> dict[str, Any]:
    """Read the folder's config.json.

    Raises:
        WeightsError: it is missing, a pointer, or not an object of JSON.
    """
    path = folder / CONFIG_FILE
    try:
        _check_start(path)
        settings = read_plain_json(path)
        if not isinstance(settings, dict):
            raise ValueError("expected keys and values")
    except FileNotFoundError:
        raise _no_config(folder) from None
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"Not readable: {error}", where=path, next_step="Copy the folder of weights here again."
        ) from None
    return settings


def _no_config(folder: Path) -> WeightsError:
    below = [*folder.glob(f"*/{CONFIG_FILE}"), *folder.glob(f"snapshots/*/{CONFIG_FILE}")]
    return WeightsError(
        f"The folder of weights has no {CONFIG_FILE}",
        where=folder,
        next_step=AS_SAVED if len(below) != 1 else f"Give the folder {below[0].parent} below it.",
    )


def tensor_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Shapes of all tensors in the folder's files, by their names there; every file is checked.

    Raises:
        WeightsError: a file is missing, unfinished, cut short, a pointer, pickled, or of another
            format.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for path in _weight_files(folder):
        shapes |= file_shapes(path)
    return shapes


def is_complete(folder: Path) -> bool:
    """Whether a folder has its config.json and every file of weights."""
    try:
        return (folder / CONFIG_FILE).is_file() and bool(_weight_files(folder))
    except WeightsError:
        return False


def refuse_pickled(name: str, folder: Path) -> WeightsError:
    """The error for weights that only an unpickler could read."""
    return WeightsError(
        f"The folder has no {WEIGHTS_FILE}; {name} is not read: such a file can run code",
        where=folder,
        next_step="Take the weights as safetensors from where they come from, or convert them "
        "on a machine that has nothing to lose, with `save_pretrained` of transformers.",
    )


def _weight_files(folder: Path) -> list[Path]:
    whole, index = folder / WEIGHTS_FILE, folder / INDEX_FILE
    if whole.is_file():
        return [whole]
    if index.is_file():
        return _parts(index)
    names = sorted(entry.name for entry in folder.iterdir())
    unfinished = [name for name in names if name.endswith(_UNFINISHED)]
    unfinished += [
        str(path.relative_to(folder)) for path in folder.glob(".cache/**/*") if _is_unfinished(path)
    ]
    if whole.is_symlink() or unfinished:
        raise WeightsError(
            "The download of the weights is not finished"
            + (f": {unfinished[0]}" if unfinished else ""),
            where=folder,
            next_step=FETCH_AGAIN,
        )
    if pickled := [name for name in names if name.endswith(_PICKLED)]:
        raise refuse_pickled(pickled[0], folder)
    parts = [name for name in names if name.endswith(".safetensors")]
    other = f", but {parts[0]}" if parts else ""
    advice = AS_SAVED
    if len(parts) == 1:
        advice = f"If these are the weights, call the file {WEIGHTS_FILE}."
    elif parts:
        advice = f"If these are its parts, add {INDEX_FILE}, which names them."
    raise WeightsError(
        f"The folder of weights has no {WEIGHTS_FILE}{other}", where=folder, next_step=advice
    )


def _is_unfinished(path: Path) -> bool:
    return path.name.endswith(_UNFINISHED)


def _parts(index: Path) -> list[Path]:
    """The files that an index names, all of them there."""
    _check_start(index)
    try:
        content = read_plain_json(index)
        names = sorted(set(content["weight_map"].values()))
        if not names or not all(_is_plain(name) for name in names):
            raise ValueError("weight_map has to name files beside it")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(
            f"Not an index of weights: {error}", where=index, next_step=FETCH_AGAIN
        ) from None
    paths = [index.with_name(name) for name in names]
    if missing := [path.name for path in paths if not path.is_file()]:
        raise WeightsError(
            f"{len(missing)} of {len(paths)} parts of the weights are missing: {missing[0]}"
            + (" and more" if len(missing) > 1 else ""),
            where=index.parent,
            next_step=f"{INDEX_FILE} names the parts: fetch or copy all of them into the folder.",
        )
    return paths


def _is_plain(name: object) -> bool:
    if not isinstance(name, str) or not name.endswith(".safetensors"):
        return False
    return not name.startswith(".") and not set(name) & set("/\\:\0")


def _check_start(path: Path) -> bytes:
    """The first bytes of a file, which is not a pointer to it, a page, or a pickle."""
    with path.open("rb") as handle:
        start = handle.read(_START)
    if start.startswith(_POINTERS):
        raise WeightsError(
            f"{path.name} is a pointer of Git LFS, not the file itself",
            where=path,
            next_step="Run `git lfs install` and `git lfs pull` in the repository it was cloned "
            "with, or fetch the files with `hf download ID --local-dir FOLDER`.",
        )
    if start.lstrip().lower().startswith((b"<!doctype", b"<html")):
        raise WeightsError(
            f"{path.name} is a web page, not the file itself",
            where=path,
            next_step="The server sent a page in its place, perhaps for want of a login. "
            + FETCH_AGAIN,
        )
    return start


def file_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Shapes of the tensors of one file of safetensors (raises as :func:`tensor_shapes`)."""
    try:
        start, size = _check_start(path), path.stat().st_size
        if start.startswith(_PICKLES):
            raise refuse_pickled(f"{path.name}, a pickle under this name,", path.parent)
        length = int.from_bytes(start[:8], "little")
        if size < 8 or (length <= MAX_JSON_BYTES and 8 + length > size):
            raise _cut(path, size)
        if not 2 <= length <= MAX_JSON_BYTES:
            raise ValueError("no header")
        with path.open("rb") as handle:
            header = json.loads(handle.read(8 + length)[8:].decode("utf-8"))
        header.pop("__metadata__", None)
        shapes = {str(name): tuple(map(int, tensor["shape"])) for name, tensor in header.items()}
        ends = [int(tensor["data_offsets"][1]) for tensor in header.values()]
    except OSError as error:
        raise WeightsError(
            f"Not readable: {error}", where=path, next_step="Copy the folder of weights here again."
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        raise WeightsError(
            f"{path.name} is not a file of safetensors", where=path, next_step=FETCH_AGAIN
        ) from None
    whole = 8 + length + max(ends, default=0)
    if size < whole:
        raise _cut(path, size, whole)
    if size > whole:
        raise WeightsError(
            f"{path.name} is longer than its header says: {size:,} bytes, not {whole:,}",
            where=path,
            next_step=FETCH_AGAIN,
        )
    return shapes


def _cut(path: Path, size: int, whole: int = 0) -> WeightsError:
    if not size:
        return WeightsError(f"{path.name} is empty", where=path, next_step=FETCH_AGAIN)
    of = f" of {whole:,}" if whole else ""
    return WeightsError(
        f"{path.name} is cut short: {size:,}{of} bytes are there",
        where=path,
        next_step=FETCH_AGAIN,
    )


def likely_prefix(names: Iterable[str], missing: Iterable[str]) -> str | None:
    """What stands before most of the missing tensors' names in a file; None where none is there."""
    names_missing = set(missing)
    before: Counter[str] = Counter()
    for name in names:
        parts = name.split(".")
        ends = ((number, ".".join(parts[number:])) for number in range(1, len(parts)))
        before.update(
            ".".join(parts[:number]) + "." for number, end in ends if end in names_missing
        )
    return max(before, key=before.__getitem__) if before else None
