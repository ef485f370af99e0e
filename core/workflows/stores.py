"""Which prepared store a verb means."""

from __future__ import annotations

from core.config import Config
from core.errors import UsageError
from core.manifests.load import load_manifest
from core.manifests.schema import DatasetManifest
from core.storage.store import Store
from core.workspace import Workspace


def open_store(workspace: Workspace, dataset: str | None) -> tuple[Store, DatasetManifest]:
    """Open the store of ``dataset``, or the newest one of the workspace, with its manifest.

    Raises:
        UsageError: an unknown dataset, or none named and none prepared.
        StoreError: not prepared, damaged, or of another version.
    """
    if dataset is None:
        dataset = newest_dataset(workspace)
    manifest = load_manifest(dataset)
    return Store.open(workspace.store(manifest.name)), manifest


def newest_dataset(workspace: Workspace) -> str:
    """The dataset whose store was prepared last."""
    folder = workspace.root / "stores"
    found = sorted(
        (entry for entry in folder.glob("*/store.json")), key=lambda path: path.stat().st_mtime_ns
    )
    if not found:
        raise UsageError(
            "There is no prepared dataset in the workspace",
            where=workspace.root,
            next_step="Prepare one first: lmgait prepare ccpg /data/CCPG",
        )
    return found[-1].parent.name


def with_frames(config: Config, manifest: DatasetManifest) -> Config:
    """The configuration with the dataset's own clip length where none is set."""
    if config.data.frames is not None:
        return config
    return config.model_copy(
        update={"data": config.data.model_copy(update={"frames": manifest.frames})}
    )
