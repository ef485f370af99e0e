"""The store that several processes work on: the same in all of them."""

from __future__ import annotations

from core.errors import StoreError
from core.manifests.schema import DatasetManifest
from core.runs.stores import newest_dataset, open_store
from core.storage.store import Store
from core.training.engine import process_state, run_on_main
from core.workspace import Workspace


def open_shared_store(workspace: Workspace, dataset: str | None) -> tuple[Store, DatasetManifest]:
    """Join the other processes, then open the store that the main process chooses.

    They join first, so that what goes wrong in one of them ends all.

    Args:
        workspace: Where stores live.
        dataset: Which store; None takes the one prepared last.

    Raises:
        UsageError, StoreError: see :func:`core.runs.stores.open_store`.
        StoreError: this process finds another store in its place than the main process does.
    """
    processes = process_state()
    store, manifest = open_store(workspace, shared_dataset(workspace, dataset))
    if store.fingerprint != run_on_main(processes, lambda: store.fingerprint):
        raise StoreError(
            "This process has another store here than the main process",
            where=store.path,
            next_step="Give all machines the same store: a shared disk, or whole copies of it.",
        )
    return store, manifest


def shared_dataset(workspace: Workspace, dataset: str | None) -> str:
    """The dataset of this name; None takes the one that the main process finds prepared last.

    Raises:
        UsageError: none is named and none prepared.
    """
    if dataset is not None:
        return dataset
    return run_on_main(process_state(), lambda: newest_dataset(workspace))
