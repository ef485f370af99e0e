"""`lmgait embed`: write embeddings to a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lmgait_cli.console import out
from lmgait_cli.options import (
    DatasetOption,
    MachineSetOption,
    RunOption,
)
from lmgait_cli.verbs import Terminal, verb


@verb(dry_run=True)
def embed(
    terminal: Terminal,
    path: Annotated[Path, typer.Argument(metavar="FILE", help="Output file, .npz or .h5.")],
    run_name: RunOption = None,
    dataset: DatasetOption = None,
    everyone: Annotated[
        bool,
        typer.Option("--all", help="Embed all sequences, not only those that the protocols use."),
    ] = False,
    settings: MachineSetOption = None,
) -> None:
    """Embed a dataset's sequences with a run's model and write them to one file.

    The file holds embeddings float32 [n, channels, strips], labels, types and views.

    Example: lmgait embed embeddings.npz --dataset casiab
    """
    from core.workflows.evaluate import embed_to_file

    if terminal.dry_run:
        from core.workflows.evaluate import estimate_embedding

        estimate = estimate_embedding(
            terminal.workspace,
            run_name=run_name,
            train_dataset=dataset,
            test_dataset=dataset,
            everyone=everyone,
            scored=False,
            progress=terminal.progress,
            settings=settings or (),
        )
        terminal.show_estimate(estimate)
        return
    embedded = embed_to_file(
        terminal.workspace,
        path,
        run_name=run_name,
        dataset=dataset,
        everyone=everyone,
        progress=terminal.progress,
        settings=settings or (),
    )
    count, channels, strips = embedded.embeddings.shape
    out.print(
        f"{count} sequences, {channels} x {strips} each: {path}\n"
        f"Next: lmgait evaluate --embeddings {path} --dataset …",
        markup=False,
        soft_wrap=True,
    )
    content = {
        "file": str(path),
        "sequences": count,
        "channels": channels,
        "strips": strips,
        "source": embedded.source,
    }
    terminal.write_json(content)
