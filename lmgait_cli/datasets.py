"""`lmgait datasets`: the known datasets."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from lmgait_cli.console import print_table
from lmgait_cli.verbs import Terminal, verb

if TYPE_CHECKING:
    from core.workflows.datasets import DatasetLine


@verb()
def datasets(
    terminal: Terminal,
) -> None:
    """List the datasets, the forms they can be prepared from, and the prepared stores.

    To add your own dataset, write a manifest.yaml like those in data_manifests/.

    Example: lmgait datasets --workspace /data/lmgait
    """
    from core.workflows.datasets import datasets as run

    lines = run(terminal.workspace)
    rows = [
        [
            line.name,
            line.title,
            _split(line),
            ", ".join(line.forms),
            ", ".join(line.protocols),
            line.store,
        ]
        for line in lines
    ]
    print_table("Datasets", ["name", "title", "train/test", "forms", "protocols", "prepared"], rows)
    terminal.write_json({"datasets": [asdict(line) for line in lines]})


def _split(line: DatasetLine) -> str:
    return "in its own file" if line.train is None else f"{line.train}/{line.test}"
