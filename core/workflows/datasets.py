"""``lmgait datasets``: which datasets are known, and which are prepared."""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import StoreError
from core.manifests.load import load_manifest, manifest_names
from core.storage.store import Store
from core.workspace import Workspace


@dataclass(frozen=True, slots=True)
class DatasetLine:
    """One dataset.

    Attributes:
        name: Its name on the command line.
        title: Its name in tables.
        train: Number of training subjects.
        test: Number of test subjects.
        forms: Names of the forms that can be prepared.
        protocols: Names of its protocols.
        store: What is prepared in the workspace, in words.
    """

    name: str
    title: str
    train: int
    test: int
    forms: tuple[str, ...]
    protocols: tuple[str, ...]
    store: str


def datasets(workspace: Workspace) -> tuple[DatasetLine, ...]:
    """List the datasets with what the workspace has of them."""
    lines = []
    for name in manifest_names():
        manifest = load_manifest(name)
        lines.append(
            DatasetLine(
                name,
                manifest.title,
                len(manifest.subjects.train),
                len(manifest.subjects.test),
                tuple(form.name for form in manifest.forms),
                tuple(manifest.protocols),
                _prepared(workspace, name),
            )
        )
    return tuple(lines)


def _prepared(workspace: Workspace, name: str) -> str:
    path = workspace.store(name)
    if not path.exists():
        return "-"
    try:
        info = Store.open(path).info
    except StoreError as error:
        return error.what
    codec = "without RGB" if info.plan.codec == "none" else info.plan.codec
    return f"{info.sequences:,} sequences ({info.plan.form}, {codec})"
