"""``lmgait datasets``: which datasets are known, and which are prepared."""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import StoreError
from core.manifests.load import load_manifest, load_outline, manifest_names
from core.manifests.schema import Subjects
from core.preparation.partitions import lacks_partition
from core.storage.store import Store
from core.workspace import Workspace


@dataclass(frozen=True, slots=True)
class DatasetLine:
    """One dataset.

    Attributes:
        name: Its name on the command line.
        title: Its name in tables.
        train: Number of training subjects; None where a file that is not here has them.
        test: Number of test subjects; the same.
        forms: Names of the forms that can be prepared.
        protocols: Names of its protocols.
        store: What is prepared in the workspace, in words.
    """

    name: str
    title: str
    train: int | None
    test: int | None
    forms: tuple[str, ...]
    protocols: tuple[str, ...]
    store: str


def datasets(workspace: Workspace) -> tuple[DatasetLine, ...]:
    """List the datasets with what the workspace has of them."""
    lines = []
    for name in manifest_names():
        manifest, subjects = load_outline(name), _subjects(name, workspace)
        lines.append(
            DatasetLine(
                name,
                manifest.title,
                None if subjects is None else len(subjects.train),
                None if subjects is None else len(subjects.test),
                tuple(form.name for form in manifest.forms),
                tuple(manifest.protocols),
                _prepared(workspace, name),
            )
        )
    return tuple(lines)


def _subjects(name: str, workspace: Workspace) -> Subjects | None:
    """The split; None where it is in a file that the workspace lacks."""
    return None if lacks_partition(name, workspace) else load_manifest(name, workspace).subjects


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
