"""Selection of a prepared store."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from core.config import Config
from core.errors import UsageError
from core.manifests.load import load_manifest
from core.manifests.schema import DatasetManifest, DatasetOutline
from core.storage.layout import STORE_NAME
from core.storage.store import Store
from core.workspace import Workspace

C = TypeVar("C", bound=Config)


def open_store(workspace: Workspace, dataset: str | None) -> tuple[Store, DatasetManifest]:
    """Open the store of ``dataset``, or the newest one of the workspace, with its manifest.

    Raises:
        UsageError: an unknown dataset, or no dataset is given and none is prepared.
        StoreError: not prepared, damaged, or of another version.
    """
    if dataset is None:
        dataset = newest_dataset(workspace)
    manifest = load_manifest(dataset, workspace)
    return Store.open(workspace.store(manifest.name)), manifest


def newest_dataset(workspace: Workspace) -> str:
    """The dataset whose store was prepared last."""
    marks = sorted(_marks(workspace.root / "stores"), key=lambda path: path.stat().st_mtime_ns)
    if not marks:
        raise UsageError(
            "There is no prepared dataset in the workspace",
            where=workspace.root,
            next_step="Prepare one first: lmgait prepare ccpg /data/CCPG",
        )
    return marks[-1].parent.name


def make_newest(store: Path) -> None:
    """Mark ``store`` as prepared last, even if the clock was set back meanwhile."""
    mark = store / STORE_NAME
    others = [path.stat().st_mtime_ns for path in _marks(store.parent) if path != mark]
    latest = max(others, default=0)
    if mark.stat().st_mtime_ns <= latest:
        with suppress(OSError):
            os.utime(mark, ns=(latest + 1000, latest + 1000))


def _marks(folder: Path) -> list[Path]:
    """The complete stores in ``folder``, without parts of stores."""
    names = (
        path for path in folder.glob(f"*/{STORE_NAME}") if not path.parent.name.startswith(".")
    )
    return [path for path in names if ".part-" not in path.parent.name]


def with_frames(config: C, manifest: DatasetOutline) -> C:
    """Fill in the dataset's own clip length if none is set."""
    if config.data.frames is not None:
        return config
    return config.model_copy(
        update={"data": config.data.model_copy(update={"frames": manifest.frames})}
    )
