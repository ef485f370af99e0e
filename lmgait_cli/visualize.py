"""`lmgait visualize`: pictures of what a model sees."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lmgait_cli.completion import prepared, runs
from lmgait_cli.console import out
from lmgait_cli.verbs import Terminal, verb


@verb()
def visualize(
    terminal: Terminal,
    run_name: Annotated[str, typer.Argument(metavar="RUN", help="Which run.", autocompletion=runs)],
    sequence: Annotated[
        str, typer.Argument(metavar="SEQUENCE", help="subject/type/view, such as 075/nm-05/090.")
    ],
    dataset: Annotated[
        str | None,
        typer.Option(
            "--dataset",
            help="Prepared dataset of the sequence; else the run's own.",
            autocompletion=prepared,
        ),
    ] = None,
    path: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="A sheet (.png) or a film (.gif, .mp4); else a sheet in the run's folder.",
        ),
    ] = None,
    frames: Annotated[
        int | None,
        typer.Option(
            "--frames",
            min=1,
            max=200,
            help="Most frames shown, evenly spread; else 8 in a .png, 28 in a .gif, 48 in an .mp4.",
        ),
    ] = None,
) -> None:
    """Draw what a model sees of a sequence: frames, silhouettes, attention to words, motion.

    Where there is text, all is shown beside what the same weights see without it. The picture
    shows a person.

    Example: lmgait visualize ccpg-tiny-001 000/U0_D0/01_0 --out walk.mp4
    """
    from core.workflows.visualize import visualize as run

    done = run(
        terminal.workspace,
        run_name,
        sequence,
        dataset=dataset,
        out=path,
        frames=frames,
        progress=terminal.progress,
    )
    lines = [f"{done.path}: {len(done.frames)} of {done.total} frames of {done.key}", *done.notes]
    out.print("\n".join(lines), markup=False, soft_wrap=True)
    terminal.write_json(done.to_json())
