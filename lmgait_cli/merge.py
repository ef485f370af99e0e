"""`lmgait merge`: join the parts of a store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lmgait_cli.completion import known
from lmgait_cli.console import out
from lmgait_cli.verbs import Terminal, verb


@verb()
def merge(
    terminal: Terminal,
    dataset: Annotated[
        str,
        typer.Argument(help="The dataset's name, or your own manifest.yaml.", autocompletion=known),
    ],
    parts: Annotated[
        list[Path] | None, typer.Argument(help="Folders of parts. Default: those in the workspace.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Delete an existing store with other contents.")
    ] = False,
) -> None:
    """Join the parts written by `lmgait prepare --part i/n`, here or on other machines.

    The store is byte-identical to that of a single run. Parts may be deleted afterwards.

    Example: lmgait merge ccpg --workspace /data/lmgait
    """
    from core.workflows.merge import merge as run

    folder, info = run(
        dataset,
        terminal.workspace,
        parts or (),
        replace=replace,
        progress=terminal.progress,
    )
    out.print(
        f"{folder}: {info.sequences:,} sequences, {info.frames:,} frames, "
        f"{info.bytes / 2**20:,.1f} MiB.",
        markup=False,
        soft_wrap=True,
    )
    content = {"store": str(folder), "info": info.model_dump(mode="json")}
    terminal.write_json(content)
