"""`lmgait datasets`: what is known."""

from __future__ import annotations

from lmgait_cli.console import print_table
from lmgait_cli.options import WorkspaceOption


def datasets(workspace: WorkspaceOption = None) -> None:
    """List the datasets, the forms they can be prepared from, and what is prepared here.

    Your own dataset is a manifest.yaml in the form of those in data_manifests/.

    Example: lmgait datasets --workspace /data/lmgait
    """
    from core.workflows.datasets import datasets as run
    from core.workspace import Workspace

    rows = [
        [line.name, line.title, f"{line.train}/{line.test}", ", ".join(line.forms),
         ", ".join(line.protocols), line.store]
        for line in run(Workspace.find(workspace))
    ]  # fmt: skip
    print_table("Datasets", ["name", "title", "train/test", "forms", "protocols", "prepared"], rows)
