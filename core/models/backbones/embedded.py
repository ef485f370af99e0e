"""The encoders that come with the package: weights called ``embedded`` in a configuration.

They were trained on rendered people by `lmgait pretrain-encoders`; ``shipped/README.md`` tells how,
and what they are worth. ``shipped/hashes.json`` holds the SHA-256 of each of their files.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Literal

from core.errors import WeightsError
from core.models.backbones.weight_files import (
    CONFIG_FILE,
    IMAGE_PART,
    PROJECTION_FILE,
    TEXT_PART,
    WEIGHTS_FILE,
)
from core.system.files import read_plain_json

EMBEDDED = "embedded"
HASHES = "hashes.json"
FILES = (
    *(f"{part}/{name}" for part in (IMAGE_PART, TEXT_PART) for name in (CONFIG_FILE, WEIGHTS_FILE)),
    PROJECTION_FILE,
)


def shipped_folder() -> Path:
    """Where the package keeps its encoders."""
    return Path(str(resources.files("core.models.backbones").joinpath("shipped")))


def embedded_folder(part: Literal["image", "text"]) -> Path:
    """The folder of one of the package's encoders, all of whose files are as they were shipped.

    Raises:
        WeightsError: a file is missing, or another one than was shipped.
    """
    check_hashes(shipped_folder())
    return shipped_folder() / part


def file_hash(path: Path) -> str:
    """SHA-256 of a file, as hex digits (raises ``OSError``)."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


@cache
def check_hashes(folder: Path) -> None:
    """Compare the files of a folder of encoders with its ``hashes.json``; once for each folder.

    Raises:
        WeightsError: a file is missing, or another one than was shipped.
    """
    try:
        hashes = read_plain_json(folder / HASHES)
        wrong = [name for name in FILES if file_hash(folder / name) != hashes[name]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(folder, str(error)) from None
    if wrong:
        raise _damaged(folder, f"{wrong[0]} is another file than was shipped")


def _damaged(folder: Path, reason: str) -> WeightsError:
    return WeightsError(
        f"The package's own encoders are damaged: {reason}",
        where=folder,
        next_step="Install lmgait again.",
    )
