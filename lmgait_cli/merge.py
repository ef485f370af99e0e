"""`lmgait merge`: parts of a store to one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lmgait_cli.completion import known
from lmgait_cli.console import ConsoleProgress, out
from lmgait_cli.options import JsonOption, QuietOption, WorkspaceOption
from lmgait_cli.results import write_json


def merge(
    dataset: Annotated[
        str,
        typer.Argument(help="The dataset's name, or your own manifest.yaml.", autocompletion=known),
    ],
    parts: Annotated[
        list[Path] | None, typer.Argument(help="Folders of parts; else those in the workspace.")
    ] = None,
    workspace: WorkspaceOption = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Delete a store made from something else.")
    ] = False,
    json_file: JsonOption = None,
    quiet: QuietOption = False,
) -> None:
    """Join the parts that `lmgait prepare --part i/n` made, here or on other machines.

    The store is the one that a single run makes, byte for byte. Parts may be deleted afterwards.

    Example: lmgait merge ccpg --workspace /data/lmgait
    """
    from core.workflows.merge import merge as run
    from core.workspace import Workspace

    folder, info = run(
        dataset,
        Workspace.find(workspace),
        parts or (),
        replace=replace,
        progress=ConsoleProgress(quiet),
    )
    out.print(
        f"{folder}: {info.sequences:,} sequences, {info.frames:,} frames, "
        f"{info.bytes / 2**20:,.1f} MiB.",
        markup=False,
        soft_wrap=True,
    )
    content = {"store": str(folder), "info": info.model_dump(mode="json")}
    write_json(json_file, content, quiet)
