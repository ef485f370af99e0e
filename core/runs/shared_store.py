"""The store that several processes share."""

from __future__ import annotations

from core.errors import StoreError
from core.manifests.schema import DatasetManifest
from core.runs.stores import newest_dataset, open_store
from core.storage.store import Store
from core.training.engine import process_state, run_on_main
from core.workspace import Workspace


def open_shared_store(workspace: Workspace, dataset: str | None) -> tuple[Store, DatasetManifest]:
    """Join the other processes, then open the store that the main process selects.

    The processes join first, so that an error in one of them ends all.

    Args:
        workspace: The workspace with the stores.
        dataset: Dataset of the store; None for the one prepared last.

    Raises:
        UsageError, StoreError: see :func:`core.runs.stores.open_store`.
        StoreError: this process has a different store than the main process.
    """
    processes = process_state()
    store, manifest = open_store(workspace, shared_dataset(workspace, dataset))
    if store.fingerprint != run_on_main(processes, lambda: store.fingerprint):
        raise StoreError(
            "This process has a different store here than the main process",
            where=store.path,
            next_step="Give all machines the same store: a shared disk, or complete copies.",
        )
    return store, manifest


def shared_dataset(workspace: Workspace, dataset: str | None) -> str:
    """The given dataset, or the one that the main process finds prepared last.

    Raises:
        UsageError: no dataset is given and none is prepared.
    """
    if dataset is not None:
        return dataset
    return run_on_main(process_state(), lambda: newest_dataset(workspace))
