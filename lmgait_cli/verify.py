"""`lmgait verify`: check a store against its checksums."""

from __future__ import annotations

from typing import Annotated

import typer

from lmgait_cli.completion import prepared
from lmgait_cli.console import out
from lmgait_cli.verbs import Terminal, verb


@verb()
def verify(
    terminal: Terminal,
    store: Annotated[
        str, typer.Argument(help="A store's folder, or a dataset's name.", autocompletion=prepared)
    ],
) -> None:
    """Check every byte of a store and list damaged shards and sequences.

    Example: lmgait verify ccpg
    """
    from core.errors import StoreError
    from core.workflows.verify import verify as run

    result = run(store, terminal.workspace, terminal.progress)
    terminal.write_json(result.to_json())
    for fault in result.faults:
        out.print(fault, markup=False, soft_wrap=True)
    if result.faults:
        raise StoreError(
            f"The store has {len(result.faults)} fault{'s' * (len(result.faults) > 1)}",
            where=result.store,
            next_step="Delete the files named above and run the same `lmgait prepare` again to "
            "write them again.",
        )
    out.print(
        f"{result.store}: sound ({result.shards} shards, {result.bytes / 2**20:,.1f} MiB, "
        f"{result.seconds:.1f} s).",
        markup=False,
        soft_wrap=True,
    )
