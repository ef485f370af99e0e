"""`lmgait datasets`: what is known."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from lmgait_cli.console import print_table
from lmgait_cli.options import JsonOption, QuietOption, WorkspaceOption
from lmgait_cli.results import write_json

if TYPE_CHECKING:
    from core.workflows.datasets import DatasetLine


def datasets(
    workspace: WorkspaceOption = None,
    json_file: JsonOption = None,
    quiet: QuietOption = False,
) -> None:
    """List the datasets, the forms they can be prepared from, and what is prepared here.

    Your own dataset is a manifest.yaml in the form of those in data_manifests/.

    Example: lmgait datasets --workspace /data/lmgait
    """
    from core.workflows.datasets import datasets as run
    from core.workspace import Workspace

    found = run(Workspace.find(workspace))
    rows = [
        [
            line.name,
            line.title,
            _split(line),
            ", ".join(line.forms),
            ", ".join(line.protocols),
            line.store,
        ]
        for line in found
    ]
    print_table("Datasets", ["name", "title", "train/test", "forms", "protocols", "prepared"], rows)
    write_json(json_file, {"datasets": [asdict(line) for line in found]}, quiet)


def _split(line: DatasetLine) -> str:
    return "in its own file" if line.train is None else f"{line.train}/{line.test}"
