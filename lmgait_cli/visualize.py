"""`lmgait visualize`: draw a model's intermediate results for a sequence."""

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
    run_name: Annotated[
        str, typer.Argument(metavar="RUN", help="Run to use.", autocompletion=runs)
    ],
    sequence: Annotated[
        str, typer.Argument(metavar="SEQUENCE", help="subject/type/view, such as 075/nm-05/090.")
    ],
    dataset: Annotated[
        str | None,
        typer.Option(
            "--dataset",
            help="Prepared dataset of the sequence. Default: the run's own.",
            autocompletion=prepared,
        ),
    ] = None,
    path: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Sheet (.png) or film (.gif, .mp4). Default: a sheet in the run's folder.",
        ),
    ] = None,
    frames: Annotated[
        int | None,
        typer.Option(
            "--frames",
            min=1,
            max=200,
            help="Maximum frames, evenly spaced. Default: 8 in .png, 28 in .gif, 48 in .mp4.",
        ),
    ] = None,
) -> None:
    """Draw a model's view of a sequence: frames, silhouettes, attention to words, motion.

    For models with text, each result is shown with and without text, from the same weights. The
    picture shows a person.

    Example: lmgait visualize ccpg-tiny-001 000/U0_D0/01_0 --out walk.mp4
    """
    from core.workflows.visualize import visualize as run

    result = run(
        terminal.workspace,
        run_name,
        sequence,
        dataset=dataset,
        out=path,
        frames=frames,
        progress=terminal.progress,
    )
    lines = [
        f"{result.path}: {len(result.frames)} of {result.total} frames of {result.key}",
        *result.notes,
    ]
    out.print("\n".join(lines), markup=False, soft_wrap=True)
    terminal.write_json(result.to_json())
