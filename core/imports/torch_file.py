"""Reading of tensors from untrusted ``torch.save`` files.

Such a file is a zip archive: a pickle that describes tensors, and the bytes of each. A pickle is a
program, which is not executed here. The few instructions that describe tensors are interpreted on
plain values (:mod:`core.imports.description`); anything else is rejected. Only the model's bytes
are read, not an optimiser's state.
"""

from __future__ import annotations

import hashlib
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from core.errors import CheckpointError
from core.imports.description import (
    DescribedTensor,
    DescriptionFault,
    ForbiddenContent,
    OtherContent,
    described,
)

MODEL = "model"
MAX_DESCRIPTION_BYTES = 64 * 2**20
MAX_TENSORS = 100_000

_DTYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
_PICKLE = b"\x80"
_FETCH_AGAIN = "Fetch or copy the file again."
_ONLY_TENSORS = (
    "Nothing in it was executed. On an isolated machine, load it and save only the tensors of "
    'its model: torch.save({"model": state_dict}, FILE).'
)

_ONE_MODEL = (
    "Save the state dict of its model as one of tensors by name: "
    'torch.save({"model": state_dict}, FILE).'
)


@dataclass(frozen=True, slots=True)
class ForeignWeights:
    """Tensors of another program's model.

    Attributes:
        tensors: By name, in the order of the file.
        sha256: SHA-256 of the whole file.
        bytes: Size of the file.
    """

    tensors: Mapping[str, Tensor]
    sha256: str
    bytes: int


def read_torch_file(path: Path) -> ForeignWeights:
    """Read the tensors of a model from a file of ``torch.save``.

    The file contains a mapping whose ``model`` is the state dict (other keys, such as an
    optimiser's, are not read), or the state dict itself. Shared tensors stay shared.

    Args:
        path: The file.

    Raises:
        CheckpointError: it cannot be read, is not such a file, is damaged, of a torch before 1.6,
            contains anything besides tensors and plain values, or a tensor with a value that is not
            finite. Nothing in it is executed.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
            start = file.read(2)
        if not zipfile.is_zipfile(path):
            raise _not_an_archive(path, start)
        with zipfile.ZipFile(path) as archive:
            tensors = _Archive(path, archive).tensors(size)
    except OSError as error:
        raise CheckpointError(
            f"Cannot read the file: {error.strerror or error}", where=path, next_step=_FETCH_AGAIN
        ) from error
    except ForbiddenContent as fault:
        raise CheckpointError(
            f"The file contains more than tensors and plain values: {fault}",
            where=path,
            next_step=_ONLY_TENSORS,
        ) from None
    except OtherContent as fault:
        raise CheckpointError(
            f"The file does not contain exactly one model: {fault}",
            where=path,
            next_step=_ONE_MODEL,
        ) from None
    except DescriptionFault as fault:
        raise _damaged(path, fault) from None
    except (
        zipfile.BadZipFile,
        EOFError,
        NotImplementedError,
        struct.error,
        zlib.error,
        RuntimeError,
        ValueError,
        UnicodeDecodeError,
        OverflowError,
    ) as error:
        raise _damaged(path, error) from None
    return ForeignWeights(tensors, digest, size)


class _Archive:
    """The zip archive and its entries."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self._path, self._archive = path, archive
        entries = archive.infolist()
        self._entries = {entry.filename: entry for entry in entries}
        if len(self._entries) != len(entries):
            raise DescriptionFault("an entry is there twice")
        roots = [name.removesuffix("data.pkl") for name in self._entries if _is_description(name)]
        if len(roots) != 1:
            raise DescriptionFault("it is not an archive of torch.save")
        self._root = roots[0]
        # Bytes of storages, by their key, kind and length.
        self._stored: dict[tuple[str, str, int], Tensor] = {}

    def tensors(self, most: int) -> dict[str, Tensor]:
        """The model's tensors, ``most`` bytes at most in total."""
        if self._entry("byteorder", optional=True) not in (None, b"little"):
            raise DescriptionFault("its numbers have the byte order of another machine")
        content = described(self._entry("data.pkl", most=MAX_DESCRIPTION_BYTES) or b"")
        model = content.get(MODEL, content) if isinstance(content, dict) else None
        if not isinstance(model, dict) or not model:
            raise OtherContent(f"it holds neither `{MODEL}` nor tensors by name")
        if len(model) > MAX_TENSORS:
            raise DescriptionFault(f"it holds more than {MAX_TENSORS:,} tensors")
        tensors: dict[str, Tensor] = {}
        built: dict[DescribedTensor, Tensor] = {}
        to_check = to_read = most
        for name, value in model.items():
            if not isinstance(name, str) or not isinstance(value, DescribedTensor):
                raise OtherContent(f"`{str(name)[:100]}` is not a tensor")
            if value not in built:
                size = _dtype(value).itemsize
                to_check -= value.numbers * size
                to_read -= 0 if _place(value) in self._stored else value.stored * size
                if min(to_check, to_read) < 0:
                    raise DescriptionFault("its tensors are larger than the file")
                built[value] = self._tensor(name, value)
            tensors[name] = built[value]
        return tensors

    def _tensor(self, name: str, value: DescribedTensor) -> Tensor:
        """Create a view of its storage, which is read once."""
        dtype, place = _dtype(value), _place(value)
        if place not in self._stored:
            most = value.stored * dtype.itemsize
            content = self._entry(f"data/{value.storage}", most=most) or b""
            if len(content) != most:
                raise DescriptionFault(f"{name[:100]} has another number of bytes than it says")
            read = torch.frombuffer(bytearray(content), dtype=dtype) if content else None
            self._stored[place] = torch.empty(0, dtype=dtype) if read is None else read
        if not value.numbers:
            return torch.empty(value.shape, dtype=dtype)
        tensor = self._stored[place].as_strided(value.shape, value.strides, value.offset)
        # Models have single precision, in which larger numbers would be infinite.
        if tensor.is_floating_point() and not bool(tensor.float().isfinite().all()):
            raise DescriptionFault(f"{name[:100]} has a value that is not finite")
        return tensor

    def _entry(
        self, name: str, *, optional: bool = False, most: int = MAX_DESCRIPTION_BYTES
    ) -> bytes | None:
        """Read an entry; torch does not compress, so none is larger than the file."""
        entry = self._entries.get(self._root + name)
        if entry is None:
            if optional:
                return None
            raise DescriptionFault(f"its entry {name[:100]} is missing")
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
            raise DescriptionFault(f"its entry {name[:100]} is compressed")
        if entry.file_size > most:
            raise DescriptionFault(f"its entry {name[:100]} is too large")
        return self._archive.read(entry)


def _is_description(name: str) -> bool:
    return name == "data.pkl" or (name.endswith("/data.pkl") and name.count("/") == 1)


def _place(value: DescribedTensor) -> tuple[str, str, int]:
    return value.storage, value.kind, value.stored


def _dtype(value: DescribedTensor) -> torch.dtype:
    if value.kind not in _DTYPES:
        raise OtherContent(f"tensors of the kind torch.{value.kind} are not known")
    return _DTYPES[value.kind]


def _not_an_archive(path: Path, start: bytes) -> CheckpointError:
    if start.startswith(_PICKLE):
        return CheckpointError(
            "The file is a plain pickle, as torch wrote before version 1.6, and is not read",
            where=path,
            next_step="If you trust it, load it with torch.load(FILE, weights_only=True) and "
            "save it again with torch.save.",
        )
    return CheckpointError(
        "The file was not written by torch.save",
        where=path,
        next_step="Use the complete checkpoint as published (.pt).",
    )


def _damaged(path: Path, reason: object) -> CheckpointError:
    return CheckpointError(
        f"The file of weights is damaged: {str(reason)[:300]}", where=path, next_step=_FETCH_AGAIN
    )
