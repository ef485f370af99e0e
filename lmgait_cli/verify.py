"""`lmgait verify`: a store against its checksums."""

from __future__ import annotations

from typing import Annotated

import typer

from lmgait_cli.completion import prepared
from lmgait_cli.console import ConsoleProgress, out
from lmgait_cli.options import JsonOption, QuietOption, WorkspaceOption
from lmgait_cli.results import write_json


def verify(
    store: Annotated[
        str, typer.Argument(help="A store's folder, or a dataset's name.", autocompletion=prepared)
    ],
    workspace: WorkspaceOption = None,
    json_file: JsonOption = None,
    quiet: QuietOption = False,
) -> None:
    """Check every byte of a store; name the shards and sequences that are damaged.

    Example: lmgait verify ccpg
    """
    from core.errors import StoreError
    from core.workflows.verify import verify as run
    from core.workspace import Workspace

    result = run(store, Workspace.find(workspace), ConsoleProgress(quiet))
    content = {
        "store": str(result.store),
        "shards": result.shards,
        "bytes": result.bytes,
        "seconds": result.seconds,
        "faults": result.faults,
    }
    write_json(json_file, content, quiet)
    for fault in result.faults:
        out.print(fault, markup=False, soft_wrap=True)
    if result.faults:
        raise StoreError(
            f"The store has {len(result.faults)} fault{'s' * (len(result.faults) > 1)}",
            where=result.store,
            next_step="Delete the files named above and run the same `lmgait prepare` again: it "
            "makes them anew.",
        )
    out.print(
        f"{result.store}: sound ({result.shards} shards, {result.bytes / 2**20:,.1f} MiB, "
        f"{result.seconds:.1f} s).",
        markup=False,
        soft_wrap=True,
    )
