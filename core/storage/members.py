"""Checks of a member of an embeddings file before memory is reserved for it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from core.errors import DataError

Array: TypeAlias = NDArray[np.generic]
EMBEDDINGS, NAMES, SOURCE = "embeddings", ("labels", "types", "views"), "source"
FORMAT_NAME = "lmgait_format"
MEMBERS = (EMBEDDINGS, *NAMES, SOURCE, FORMAT_NAME)
# What a header may declare: always 64 MiB, and beyond it only what a file of its size can hold, as
# numbers hardly compress.
MAX_BYTES = 1 << 26
MAX_RATIO = 8
SAVE_STRINGS = "Save the names with np.array(names, dtype=str)."
SAVE_FLOATS = "Save one array of shape [n, C, P] with dtype float32."


def room(path: Path) -> int:
    """Bytes that a member of this file may have."""
    return max(MAX_BYTES, MAX_RATIO * path.stat().st_size)


def check_size(name: str, shape: tuple[int, ...], item: int, path: Path) -> None:
    """Refuse a member of more bytes than :func:`room` (raises ``DataError``)."""
    if math.prod(shape) * max(1, item) > room(path):
        raise DataError(
            f"{name} declares {list(shape)}, more than is read",
            where=path,
            next_step="Save it again: 64 MiB, or eight times the file, are read.",
        )


def damaged(path: Path, reason: object) -> DataError:
    """A file that no reader can make sense of."""
    return DataError(
        f"The file is damaged or of another kind: {str(reason)[:300]}",
        where=path,
        next_step="Write it again, or copy it here again.",
    )
